"""One client connection: its PROXY header, then an echo.

Callbacks on a bare socket rather than a transport or a task: an idle session then costs one small
object and one poll handle, and the receive buffer is one for all of them.
"""

import asyncio
import socket
import struct
from collections.abc import Callable
from dataclasses import dataclass

from .address import Address, plain, show
from .beobachten import BROKEN_OFF, OTHER, Beobachten
from .counters import Counters
from .eventlog import EventLog
from .proxy_protocol import InvalidHeaderError, parse

# The most a session holds for a client that does not read: one receive, then it stops receiving.
CHUNK_BYTES = 64 * 1024

# MTProto's first message: whoever ends within it has failed Telemt's handshake.
_HANDSHAKE_BYTES = 64

_RESET_ON_CLOSE = struct.pack("ii", 1, 0)


def close_socket(sock: socket.socket, *, reset: bool) -> None:
    """Close a client's socket; reset sends RST instead of FIN where it is TCP."""
    if reset and sock.family != socket.AF_UNIX:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET_ON_CLOSE)
    sock.close()


@dataclass(frozen=True, slots=True)
class Host:
    """What every session shares.

    trusts says whether a peer's address may send PROXY headers; ended is called once for each
    session when it is over.
    """

    loop: asyncio.AbstractEventLoop
    chunk: memoryview
    trusts: Callable[[str], bool]
    header_timeout_s: float
    rst_on_close: str
    counters: Counters
    beobachten: Beobachten
    log: EventLog
    ended: Callable[["Session"], None]


class Session:
    """A connection from accept to close. Nothing in it blocks and nothing in it grows."""

    __slots__ = ("_header", "_host", "_peer", "_pending", "_received", "_sock", "_timer")

    def __init__(self, host: Host, sock: socket.socket, peer: Address, proxy: bool) -> None:
        """sock is non-blocking and belongs to the session now; proxy asks for a PROXY header."""
        self._host = host
        self._sock = sock
        self._peer = peer
        self._header = bytearray() if proxy else None
        self._pending = b""
        # Of the client's own bytes, counted as far as the handshake goes.
        self._received = 0
        self._timer: asyncio.TimerHandle | None = None

    def start(self) -> None:
        """Begin; everything after happens in the loop's callbacks."""
        host = self._host
        host.counters.connections += 1
        if self._header is not None and not host.trusts(self._peer[0]):
            self._reject("proxy_protocol_untrusted")
            return
        host.loop.add_reader(self._sock, self._on_readable)
        if self._header is None:
            self._client_known(self._peer, "direct")
            return
        # A balancer's header comes with the connection: read now, and most need no timer.
        self._on_readable()
        if self._header is not None and self._sock.fileno() >= 0:
            self._timer = host.loop.call_later(
                host.header_timeout_s, self._reject, "proxy_protocol_header_timeout"
            )

    def close(self, *, reset: bool = False) -> None:
        """End the session; reset sends RST instead of FIN on TCP. A second call does nothing."""
        sock, loop = self._sock, self._host.loop
        if sock.fileno() < 0:
            return
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        loop.remove_reader(sock)
        loop.remove_writer(sock)
        close_socket(sock, reset=reset or self._host.rst_on_close == "always")
        self._pending = b""
        self._host.ended(self)

    def _reject(self, reason: str) -> None:
        self._host.counters.bad[reason] += 1
        self._host.beobachten.record(OTHER, plain(self._peer)[0])
        self.close(reset=self._host.rst_on_close == "errors")

    def _end(self) -> None:
        """The client has gone."""
        if 0 < self._received < _HANDSHAKE_BYTES:
            self._host.beobachten.record(BROKEN_OFF, plain(self._peer)[0])
        self.close()

    def _client_known(self, client: Address, via: str) -> None:
        self._host.log.client(show(plain(client)), show(plain(self._peer)), via)
        self._peer = client

    def _on_readable(self) -> None:
        chunk = self._host.chunk
        try:
            count = self._sock.recv_into(chunk)
        except (BlockingIOError, InterruptedError):
            return
        except OSError:
            count = 0
        if self._header is not None:
            self._take_header(self._header, chunk[:count])
        elif count:
            self._echo(chunk[:count])
        else:
            # The client has ended its side, and all it sent went back before this was read.
            self._end()

    def _take_header(self, received: bytearray, chunk: memoryview) -> None:
        received += chunk
        try:
            header = parse(received)
        except InvalidHeaderError:
            self._reject("proxy_protocol_invalid_header")
            return
        if header is None:
            if not chunk:  # the client ended before its header did
                self._reject("proxy_protocol_invalid_header")
            return
        self._header = None
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self._client_known(header.source or self._peer, f"proxy_v{header.version}")
        if len(received) > header.length:
            self._echo(memoryview(received)[header.length :])

    def _echo(self, data: memoryview) -> None:
        self._received = min(_HANDSHAKE_BYTES, self._received + len(data))
        sent = self._send(data)
        if sent < len(data) and self._sock.fileno() >= 0:
            self._pending = bytes(data[sent:])
            self._host.loop.remove_reader(self._sock)
            self._host.loop.add_writer(self._sock, self._on_writable)

    def _on_writable(self) -> None:
        self._pending = self._pending[self._send(self._pending) :]
        if not self._pending and self._sock.fileno() >= 0:
            self._host.loop.remove_writer(self._sock)
            self._host.loop.add_reader(self._sock, self._on_readable)

    def _send(self, data: memoryview | bytes) -> int:
        """Return how many bytes the socket took; a broken one closes the session and takes 0."""
        try:
            return self._sock.send(data)
        except (BlockingIOError, InterruptedError):
            return 0
        except OSError:
            self._end()
            return 0
