"""What a client sends before it counts as open, and in a round trip while it is held.

A talk keeps objects for a connection only while it opens or makes a round trip. A held, idle
connection has its slots and nothing else.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True)
class Heard:
    """What received bytes led to.

    Attributes:
        done: the opening, or the round trip, is complete.
        reply: bytes to send now.
        failure: a stable word; empty where nothing is wrong.
    """

    done: bool = False
    reply: bytes = b""
    failure: str = ""


WAITING = Heard()
DONE = Heard(done=True)


class Talk(Protocol):
    """One way to talk; connections are named by their descriptors.

    Attributes:
        at_once: first bytes that are the same for all connections. They may be written before
            connect() is known to be done, and any byte that comes back is the whole answer. Empty
            where each connection has its own first bytes.
    """

    at_once: bytes

    def opening(self, fd: int) -> bytes:
        """The first bytes, once connected."""

    def opened(self, fd: int, data: bytes) -> Heard:
        """Handle bytes that came before the connection was open."""

    def ended(self, fd: int, cause: str) -> str:
        """The connection ended before it was open; return the cause in one word."""

    def trip(self, fd: int) -> bytes:
        """The bytes of a round trip."""

    def answered(self, fd: int, data: bytes) -> Heard:
        """Handle bytes that came while the connection was held, asked for or not."""

    def forget(self, fd: int) -> None:
        """The connection has ended: drop its objects."""


class Plain:
    """A small HTTP request; the first byte that comes back opens the connection or ends the trip.

    Args:
        domain: the site to ask for.
        size: bytes of a round trip's request; the smallest request is used if this is less.
    """

    def __init__(self, domain: str, size: int = 0) -> None:
        # Above 64 bytes, because a proxy waits for that many, the length of a client's init.
        head = (
            f"GET / HTTP/1.1\r\nHost: {domain}\r\nUser-Agent: stackctl\r\nAccept: */*\r\n"
        ).encode()
        self.at_once = head + b"\r\n"
        more = b"X-Filler: "
        filler = size - len(head) - len(more) - 4
        self._trip = head + more + b"." * filler + b"\r\n\r\n" if filler > 0 else self.at_once

    def opening(self, fd: int) -> bytes:
        """See Talk."""
        return self.at_once

    def opened(self, fd: int, data: bytes) -> Heard:
        """See Talk."""
        return DONE

    def ended(self, fd: int, cause: str) -> str:
        """See Talk."""
        return cause

    def trip(self, fd: int) -> bytes:
        """See Talk."""
        return self._trip

    def answered(self, fd: int, data: bytes) -> Heard:
        """See Talk."""
        return DONE

    def forget(self, fd: int) -> None:
        """See Talk."""
