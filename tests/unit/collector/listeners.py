"""Listeners that answer one client, and a line of HAProxy's list of sessions."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

LINE = (
    b"0x7f5c00: proto=tcpv4 src=::ffff:127.0.0.3:55017 fe=clients be=telemt srv=telemt-1 ts=00 "
    b"epoch=0 age=3s calls=3 rate=0 cpu=0 lat=0 rq[f=848000h,i=0,an=00h,ax=] "
    b"rp[f=80048101h,i=0,an=00h,ax=] scf=[8,0h,fd=19,rex=59m59s,wex=] "
    b"scb=[8,1h,fd=-1,rex=59m59s,wex=] exp=4s rc=0 c_exp="
)


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
