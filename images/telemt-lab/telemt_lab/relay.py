"""Relays bytes between two sockets, and transforms them on the way."""

import asyncio
import contextlib
import socket
from collections.abc import Callable

# The most that a direction holds for a peer that does not read: after one receive it stops
# receiving.
CHUNK_BYTES = 64 * 1024

Bytes = bytes | memoryview
# May raise LastBytes.
Change = Callable[[memoryview], Bytes]


class LastBytes(Exception):
    """The direction ends after these bytes; everything says that the other one ends with it."""

    def __init__(self, data: Bytes, *, everything: bool) -> None:
        super().__init__()
        self.data = data
        self.everything = everything


class Relay:
    """A client's socket and another one, relayed until both have ended or one fails."""

    __slots__ = ("_done", "_down", "_ends", "_other", "_up", "quiet")

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        chunk: memoryview,
        client: socket.socket,
        other: socket.socket,
        up: Change,
        down: Change,
        done: Callable[[], None],
        *,
        half_close: bool = True,
    ) -> None:
        """chunk is the receive buffer, shared by all; done is called once nothing more can pass.

        The relay owns other, but not client. half_close tells other when the client has ended its
        side.
        """
        self._other = other
        self._done = done
        self._up = Pipe(loop, chunk, client, other, up, self, half_close=half_close)
        self._down = Pipe(loop, chunk, other, client, down, self, half_close=True)
        self._ends = 0
        self.quiet = 0
        """Set to 0 whenever bytes pass; the watch for idle sessions counts it up."""

    def start(self, first: bytes) -> None:
        """Begin with bytes that the client has sent before."""
        self._down.start()
        self._up.start(first)

    def stop(self) -> None:
        """Watch neither socket any more, and close the other one."""
        self._up.stop()
        self._down.stop()
        self._other.close()

    def ended(self, everything: bool) -> None:
        """A direction has ended, or everything has."""
        self._ends += 1
        if everything or self._ends == 2:
            self._done()


class Pipe:
    """One direction. It never blocks, and holds at most one chunk that the target did not take."""

    __slots__ = (
        *("_change", "_chunk", "_half_close", "_last", "_loop"),
        *("_pending", "_source", "_target", "_relay"),
    )

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        chunk: memoryview,
        source: socket.socket,
        target: socket.socket,
        change: Change,
        relay: Relay,
        *,
        half_close: bool,
    ) -> None:
        """half_close tells the target when the source has ended."""
        self._loop = loop
        self._chunk = chunk
        self._source = source
        self._target = target
        self._change = change
        self._relay = relay
        self._half_close = half_close
        self._pending: Bytes = b""
        self._last: LastBytes | None = None

    def start(self, first: bytes = b"") -> None:
        """Begin to pass on, with bytes that were received before."""
        self._loop.add_reader(self._source, self._on_readable)
        if first:
            self._pass(memoryview(first))

    def stop(self) -> None:
        """Watch neither socket any more; both are still open."""
        self._loop.remove_reader(self._source)
        self._loop.remove_writer(self._target)
        self._pending = b""

    def _on_readable(self) -> None:
        try:
            count = self._source.recv_into(self._chunk)
        except (BlockingIOError, InterruptedError):
            return
        except OSError:
            self._relay.ended(True)
            return
        self._relay.quiet = 0
        if count:
            self._pass(self._chunk[:count])
        else:
            self._loop.remove_reader(self._source)
            self._finish(LastBytes(b"", everything=False))

    def _pass(self, data: memoryview) -> None:
        try:
            out = self._change(data)
        except LastBytes as last:
            self._loop.remove_reader(self._source)
            self._last, out = last, last.data
        sent = self._send(out)
        if sent < 0:
            return
        if sent < len(out):
            # A copy, because the next receive reuses the chunk.
            self._pending = bytes(out[sent:])
            self._loop.remove_reader(self._source)
            self._loop.add_writer(self._target, self._on_writable)
        elif self._last is not None:
            self._finish(self._last)

    def _on_writable(self) -> None:
        sent = self._send(self._pending)
        if sent < 0:
            return
        self._pending = self._pending[sent:]
        if self._pending:
            return
        self._pending = b""
        self._loop.remove_writer(self._target)
        if self._last is not None:
            self._finish(self._last)
        else:
            self._loop.add_reader(self._source, self._on_readable)

    def _finish(self, last: LastBytes) -> None:
        if self._half_close and not last.everything:
            with contextlib.suppress(OSError):
                self._target.shutdown(socket.SHUT_WR)
        self._relay.ended(last.everything)

    def _send(self, data: Bytes) -> int:
        """Return how many bytes were taken; -1 where the socket is broken, which ends
        everything."""
        if not data:
            return 0
        try:
            return self._target.send(data)
        except (BlockingIOError, InterruptedError):
            return 0
        except OSError:
            self._relay.ended(True)
            return -1
