"""One handshake as a client makes it, hop by hop, after a PROXY header where one is wanted."""

from __future__ import annotations

import importlib
import ipaddress
import socket
import struct
import sys
import time
from collections.abc import Callable
from functools import cache
from typing import Any, NamedTuple

from stackctl.collector.answer import Ended, Step, Tried
from stackctl.collector.reading import failure
from stackctl.collector.sockets import shown

_PACKAGES = "/usr/lib/python3/dist-packages"
_CONNECT = 2.0

_SIGNATURE = b"\r\n\r\n\0\r\nQUIT\n"
_PROXY = 0x21  # version 2, on behalf of another
_STREAM = {4: 0x11, 6: 0x21}

Address = tuple[str, int]


class Route(NamedTuple):
    """How a place is reached.

    Attributes:
        open: makes the socket in the right network namespace; raises OSError.
        to: where it connects to: an address, or the path of a unix socket.
        named: the client and the server that the PROXY header names; None for no header.
        source: the address to connect from; "" for any.
    """

    open: Callable[[], socket.socket]
    to: Address | str
    named: tuple[Address, Address] | None = None
    source: str = ""


@cache
def client() -> Any:
    """The MTProto client. It is loaded only for handshakes, because loading it is slow."""
    try:
        return importlib.import_module("stackctl.mtproto")
    except ModuleNotFoundError:
        # The collector is started without the system's packages, which are slow to search.
        sys.path.append(_PACKAGES)
        return importlib.import_module("stackctl.mtproto")


class OpenHandshake(NamedTuple):
    """A handshake that was tried, whose connection is still open.

    Attributes:
        tried: how far it got.
        sock: its connection; None where there is none.
    """

    tried: Tried
    sock: socket.socket | None

    @property
    def answered(self) -> bool:
        """Whether a data centre answered."""
        return self.tried.ended is None

    def close(self) -> Tried:
        """End the connection, if there is one; return how far the handshake got."""
        if self.sock:
            self.sock.close()
        return self.tried


def shake(route: Route, secret: Any, dc: int, end: float) -> OpenHandshake:
    """Connect, send the header and do the handshake; the first failure ends it.

    Args:
        route: how the place is reached.
        secret: `mtproto.Secret`.
        dc: the data centre asked for.
        end: the deadline on the monotonic clock.
    """
    steps: list[Step] = []
    named = "{}:{}".format(*route.named[0]) if route.named else ""
    sock, local = None, ""
    hop, began = "connect", time.monotonic()
    try:
        sock = route.open()
        _connect(sock, route, end)
        if sock.family is not socket.AF_UNIX:
            local = shown(sock.getsockname())
        steps.append(_passed(hop, began))
        if route.named:
            hop, began = "proxy", time.monotonic()
            sock.sendall(proxy_header(*route.named))
            steps.append(_passed(hop, began))
    except OSError as problem:
        ended = Ended(hop, "network", failure(problem).error)
        return OpenHandshake(Tried(tuple(steps), ended, local, named), sock)
    attempt = client().attempt(sock, secret, dc=dc, deadline=end)
    steps += [Step(step.hop, round(step.ms, 2)) for step in attempt.steps]
    seen = attempt.failure
    last = Ended(seen.hop, seen.cause, seen.detail) if seen else None
    return OpenHandshake(Tried(tuple(steps), last, local, named), sock)


def _connect(sock: socket.socket, route: Route, end: float) -> None:
    sock.settimeout(max(0.001, min(_CONNECT, end - time.monotonic())))
    if route.source:
        sock.bind((route.source, 0))
    sock.connect(route.to)


def _passed(hop: str, began: float) -> Step:
    return Step(hop, round((time.monotonic() - began) * 1000, 2))


def proxy_header(source: Address, target: Address) -> bytes:
    """The PROXY protocol header, version 2, that HAProxy puts before a client's bytes.

    Args:
        source: the client.
        target: the address it came to.

    Raises:
        ValueError: one is not an address, or the two are of different families.
    """
    client, server = ipaddress.ip_address(source[0]), ipaddress.ip_address(target[0])
    if client.version != server.version:
        raise ValueError(f"{client} and {server} are of different families")
    body = client.packed + server.packed + struct.pack("!HH", source[1], target[1])
    return _SIGNATURE + struct.pack("!BBH", _PROXY, _STREAM[client.version], len(body)) + body
