"""What a client says before it counts as open, and in a round trip while it is held.

A talk keeps objects of a connection only while something of it is under way; held and idle, a
connection has its slots and nothing else.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True)
class Heard:
    """What came of bytes that arrived.

    Attributes:
        done: the opening, or the round trip, is complete.
        reply: to be sent now.
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
        at_once: the first bytes where they are the same for all, and cost nothing to make: they may
            be tried before it is known that connect() is done, and any byte that comes back is the
            whole answer. Empty where each has its own.
    """

    at_once: bytes

    def opening(self, fd: int) -> bytes:
        """The first bytes, once connected."""

    def opened(self, fd: int, data: bytes) -> Heard:
        """Bytes that came before the connection was open."""

    def ended(self, fd: int, cause: str) -> str:
        """The connection ended before it was open; what that is to be called."""

    def trip(self, fd: int) -> bytes:
        """The bytes of a round trip."""

    def answered(self, fd: int, data: bytes) -> Heard:
        """Bytes that came while held, asked for or not."""

    def forget(self, fd: int) -> None:
        """The connection is gone."""


class Plain:
    """A small HTTP request: open, or answered, with the first byte that comes back.

    Args:
        domain: the site to ask for.
        size: bytes of a round trip's request, which has at least those it takes.
    """

    def __init__(self, domain: str, size: int = 0) -> None:
        # Above 64 bytes: until it has as many, a proxy waits for the rest of a client's init.
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
