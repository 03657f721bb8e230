"""One handshake as a client makes it, hop by hop, and what the hops took."""

from __future__ import annotations

import importlib
import socket
import sys
import time
from collections.abc import Callable
from functools import cache
from typing import Any, NamedTuple

from stackctl.collector import proxyheader
from stackctl.collector.livesock import shown
from stackctl.collector.reading import failure

_PACKAGES = "/usr/lib/python3/dist-packages"
_CONNECT = 2.0

Address = tuple[str, int]


class Way(NamedTuple):
    """How a place is reached.

    Attributes:
        open: makes the socket, in the namespace it has to be in; raises OSError.
        to: what it is connected to: an address, or the path of a unix socket.
        named: the client and the server of the PROXY header; None for no header.
        source: the address to connect from; "" for any.
    """

    open: Callable[[], socket.socket]
    to: Address | str
    named: tuple[Address, Address] | None = None
    source: str = ""


@cache
def client() -> Any:
    """The MTProto client. Loaded when handshakes are asked for: it takes longer than the rest."""
    try:
        return importlib.import_module("stackctl.mtproto")
    except ModuleNotFoundError:
        # The probe is started without the system's packages, which are slow to search.
        sys.path.append(_PACKAGES)
        return importlib.import_module("stackctl.mtproto")


class Trial:
    """A connection and what is reported of it; the socket is kept until `close`."""

    def __init__(self, way: Way, secret: Any, dc: int, end: float) -> None:
        """Connect, send the header, do the handshake; whatever fails ends it.

        Args:
            way: how the place is reached.
            secret: `mtproto.Secret`.
            dc: the data centre asked for.
            end: moment on the monotonic clock by which it is over.
        """
        self.sock: socket.socket | None = None
        self.record: dict[str, Any] = {"steps": []}
        if way.named:
            self.record["client"] = "{}:{}".format(*way.named[0])
        hop = "connect"
        try:
            began = time.monotonic()
            self._connect(way, end)
            self._passed(hop, (time.monotonic() - began) * 1000)
            if way.named:
                hop, began = "proxy", time.monotonic()
                self._header(way)
                self._passed(hop, (time.monotonic() - began) * 1000)
        except OSError as problem:
            detail = failure(problem)["error"]
            self.record["failure"] = {"hop": hop, "cause": "network", "detail": detail}
            return
        self._handshake(secret, dc, end)

    @property
    def answered(self) -> bool:
        """Whether a data centre answered."""
        return "failure" not in self.record

    def close(self) -> None:
        """End the connection, if there is one."""
        if self.sock:
            self.sock.close()
            self.sock = None

    def _connect(self, way: Way, end: float) -> None:
        self.sock = way.open()
        self.sock.settimeout(max(0.001, min(_CONNECT, end - time.monotonic())))
        if way.source:
            self.sock.bind((way.source, 0))
        self.sock.connect(way.to)
        if self.sock.family is not socket.AF_UNIX:
            self.record["local"] = shown(self.sock.getsockname())

    def _header(self, way: Way) -> None:
        assert self.sock
        assert way.named
        self.sock.sendall(proxyheader.version_2(*way.named))

    def _handshake(self, secret: Any, dc: int, end: float) -> None:
        attempt = client().attempt(self.sock, secret, dc=dc, deadline=end)
        for step in attempt.steps:
            self._passed(step.hop, step.ms)
        if attempt.failure:
            seen = attempt.failure
            self.record["failure"] = {"hop": seen.hop, "cause": seen.cause, "detail": seen.detail}

    def _passed(self, hop: str, ms: float) -> None:
        self.record["steps"].append({"hop": hop, "ms": round(ms, 2)})
