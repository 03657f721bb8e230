"""A server on loopback that behaves as told, in a thread: one selector, few connections."""

from __future__ import annotations

import selectors
import socket
import struct
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

Behaviour = Callable[["Server", socket.socket, bytes], None]
RESET = struct.pack("ii", 1, 0)


class Server:
    """Takes connections; `behave` is called with what each sends.

    Attributes:
        address: where it listens.
        peers: source addresses that came.
        most: most connections open at once.
    """

    def __init__(self, behave: Behaviour, host: str = "127.0.0.1") -> None:
        self.behave = behave
        self._listener = socket.create_server((host, 0), backlog=1024)
        self._listener.setblocking(False)
        self.address: tuple[str, int] = self._listener.getsockname()
        self.peers: set[str] = set()
        self.most = 0
        self._open: set[socket.socket] = set()
        self._later: list[tuple[float, Callable[[], None]]] = []
        self._selector = selectors.DefaultSelector()
        self._selector.register(self._listener, selectors.EVENT_READ)
        self._stop = False
        self._thread = threading.Thread(target=self._run, daemon=True)

    @property
    def open(self) -> int:
        return len(self._open)

    def later(self, seconds: float, act: Callable[[], None]) -> None:
        self._later.append((time.monotonic() + seconds, act))

    def send(self, sock: socket.socket, data: bytes) -> None:
        with suppress(OSError):
            sock.send(data)

    def close(self, sock: socket.socket, *, reset: bool = False) -> None:
        if sock not in self._open:
            return
        self._open.remove(sock)
        self._selector.unregister(sock)
        if reset:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
        sock.close()

    def _run(self) -> None:
        while not self._stop:
            now = time.monotonic()
            due = [act for at, act in self._later if at <= now]
            self._later = [entry for entry in self._later if entry[0] > now]
            for act in due:
                act()
            for key, _ in self._selector.select(0.02):
                sock = key.fileobj
                assert isinstance(sock, socket.socket)
                if sock is self._listener:
                    self._accept()
                elif sock in self._open:
                    self._read(sock)
        for sock in [*self._open]:
            self.close(sock)
        self._listener.close()

    def _accept(self) -> None:
        with suppress(BlockingIOError):
            while True:
                sock, peer = self._listener.accept()
                sock.setblocking(False)
                self._open.add(sock)
                self.peers.add(peer[0])
                self.most = max(self.most, len(self._open))
                self._selector.register(sock, selectors.EVENT_READ)

    def _read(self, sock: socket.socket) -> None:
        try:
            data = sock.recv(65536)
        except OSError:
            data = b""
        if data:
            self.behave(self, sock, data)
        else:
            self.close(sock)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._stop = True
        self._thread.join()


@contextmanager
def serving(behave: Behaviour) -> Iterator[Server]:
    server = Server(behave)
    server.start()
    try:
        yield server
    finally:
        server.stop()


def echo(server: Server, sock: socket.socket, data: bytes) -> None:
    server.send(sock, data)


def stall(server: Server, sock: socket.socket, data: bytes) -> None:
    """Never a byte."""


def reset(server: Server, sock: socket.socket, data: bytes) -> None:
    server.close(sock, reset=True)


def half_close(server: Server, sock: socket.socket, data: bytes) -> None:
    sock.shutdown(socket.SHUT_WR)


def answer_late(server: Server, sock: socket.socket, data: bytes) -> None:
    server.later(1.1, lambda: server.send(sock, data))


def close_held(server: Server, sock: socket.socket, data: bytes) -> None:
    server.send(sock, data)
    server.later(0.8, lambda: server.close(sock))


def reset_held(server: Server, sock: socket.socket, data: bytes) -> None:
    server.send(sock, data)
    server.later(0.8, lambda: server.close(sock, reset=True))


def answer_and_half_close(server: Server, sock: socket.socket, data: bytes) -> None:
    server.send(sock, data)
    sock.shutdown(socket.SHUT_WR)


class EchoOnce:
    """Answers the first bytes of a connection, and no round trip."""

    def __init__(self) -> None:
        self._seen: set[socket.socket] = set()

    def __call__(self, server: Server, sock: socket.socket, data: bytes) -> None:
        if sock not in self._seen:
            self._seen.add(sock)
            server.send(sock, data)
