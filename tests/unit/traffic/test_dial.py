"""Connections begun, as the kernel sees them."""

from __future__ import annotations

import errno
import os
import socket
import struct
from pathlib import Path

import pytest

from stackctl.traffic.dial import Dialer


def test_it_comes_from_its_source_and_ends_by_a_reset() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        dialer = Dialer(listener.getsockname(), ("127.0.1.1", "127.0.1.2"))
        made = dialer.sockets(3, 2)
        assert [sock.getsockname()[0] for sock in made] == ["127.0.1.2", "127.0.1.1"]
        made[1].close()
        with socket.socket(fileno=dialer.connect(made[0])) as client:
            assert client.getsockname()[0] == "127.0.1.2"
            linger = client.getsockopt(socket.SOL_SOCKET, socket.SO_LINGER, 8)
            assert struct.unpack("ii", linger) == (1, 0)
            assert not os.get_blocking(client.fileno())
            assert not os.get_inheritable(client.fileno())
            server, _ = listener.accept()
        with server, pytest.raises(ConnectionResetError):
            server.recv(1)


def test_what_the_kernel_refuses_is_raised_and_nothing_stays_open() -> None:
    before = _descriptors()
    with pytest.raises(OSError, match="Cannot assign") as raised:
        Dialer(("127.0.0.1", 9), ("127.0.1.1", "192.0.2.1")).sockets(0, 4)
    assert raised.value.errno == errno.EADDRNOTAVAIL
    # TCP has no broadcasts, whatever the routes are.
    dialer = Dialer(("255.255.255.255", 9), ())
    (sock,) = dialer.sockets(0, 1)
    with pytest.raises(OSError, match="unreachable") as raised:
        dialer.connect(sock)
    assert raised.value.errno == errno.ENETUNREACH
    assert _descriptors() == before


def _descriptors() -> set[str]:
    return {entry.name for entry in Path("/proc/self/fd").iterdir()}
