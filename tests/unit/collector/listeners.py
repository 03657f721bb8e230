"""Listeners that answer one client, and a line of HAProxy's list of sessions."""

from __future__ import annotations

import re
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.unit import captured


def _line() -> bytes:
    """A captured one, with what tests ask about set."""
    (line,) = [line for line in captured.sessions() if "fe=clients" in line]
    for name, value in (
        ("^\\w+", "0x7f5c00"),
        ("src=\\S+", "src=::ffff:127.0.0.3:55017"),
        ("srv=\\S+", "srv=telemt-1"),
        ("age=\\S+", "age=3s"),
        (r"(scf=\[\S+)fd=\d+", r"\g<1>fd=19"),
        (r"(scb=\[\S+)fd=\d+", r"\g<1>fd=-1"),
    ):
        line, found = re.subn(name, value, line)
        assert found == 1, name
    return line.encode()


LINE = _line()


@contextmanager
def answering(path: Path, answer: bytes) -> Iterator[None]:
    """A unix listener that gives one answer to whatever it is asked."""

    def serve() -> None:
        peer, _ = listener.accept()
        with peer:
            peer.recv(1000)
            peer.sendall(answer)

    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(path))
        listener.listen()
        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield
        thread.join(5)


@contextmanager
def replying(reply: Callable[[bytes], bytes]) -> Iterator[tuple[str, int]]:
    """A TCP listener that answers the first bytes of one client with `reply` to them."""

    def serve() -> None:
        peer, _ = listener.accept()
        with peer:
            peer.sendall(reply(peer.recv(1000)))
            peer.recv(1)  # until the other side has ended

    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield listener.getsockname()
        thread.join(5)
