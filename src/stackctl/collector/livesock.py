"""Options of sockets that another process holds, on a duplicate taken with pidfd_getfd."""

from __future__ import annotations

import ctypes
import os
import socket
from collections.abc import Callable
from typing import Any

from stackctl.collector.fresh import congestion
from stackctl.collector.reading import Reading, failure, value

_PIDFD_GETFD = 438  # the same number on every architecture
_LIBC = ctypes.CDLL(None, use_errno=True)

_SOCKET, _TCP = socket.SOL_SOCKET, socket.IPPROTO_TCP
_OPTIONS = {
    "keepalive": (_SOCKET, socket.SO_KEEPALIVE),
    "keepidle": (_TCP, socket.TCP_KEEPIDLE),
    "keepintvl": (_TCP, socket.TCP_KEEPINTVL),
    "keepcnt": (_TCP, socket.TCP_KEEPCNT),
    "rcvbuf": (_SOCKET, socket.SO_RCVBUF),
    "sndbuf": (_SOCKET, socket.SO_SNDBUF),
    "user_timeout": (_TCP, socket.TCP_USER_TIMEOUT),
}
_BUF_LOCK = 72  # SO_BUF_LOCK, Linux 5.15; Python has no name for it
_BUFFERS: dict[str, tuple[int, int]] = {
    "rcvbuf": _OPTIONS["rcvbuf"],
    "sndbuf": _OPTIONS["sndbuf"],
    # Bit 1: the send buffer was asked for, bit 2: the receive buffer. The others autotune.
    "buffers_asked": (_SOCKET, _BUF_LOCK),
}
"""What a unix socket has too."""


def duplicate(pid: int, number: int) -> socket.socket:
    """The socket behind another process's descriptor; closing it leaves theirs alone.

    Raises:
        OSError: the kernel refuses (CAP_SYS_PTRACE, Yama's ptrace_scope 3), or no such descriptor.
    """
    process = os.pidfd_open(pid)
    try:
        handle = _LIBC.syscall(_PIDFD_GETFD, process, number, 0)
        if handle < 0:
            problem = ctypes.get_errno()
            raise OSError(problem, os.strerror(problem))
    finally:
        os.close(process)
    return socket.socket(fileno=handle)


def options(pid: int, number: int, peer: str = "") -> dict[str, Any]:
    """Socket options of a live connection: `{"peer": ..., name: reading}`.

    Args:
        pid: the process that holds it.
        number: its descriptor there.
        peer: address:port the connection must have at its other end; "" for any. A descriptor
            that was closed and given out again meanwhile is thereby not mistaken for it.

    Returns:
        of a unix socket `{"link": "unix"}` and its buffers alone; `{"error": ...}` where it could
        not be had.
    """
    try:
        sock = duplicate(pid, number)
    except OSError as problem:
        return {"error": f"pidfd_getfd: {failure(problem)['error']}"}
    with sock:
        if sock.family not in (socket.AF_INET, socket.AF_INET6):
            return {"link": "unix", **_readings(sock, _BUFFERS)}
        try:
            other = shown(sock.getpeername())
        except OSError as problem:
            return {"error": f"getpeername: {failure(problem)['error']}"}
        if peer and other != peer:
            return {"error": f"descriptor {number} now belongs to another connection, {other}"}
        readings = _readings(sock, {**_OPTIONS, **_BUFFERS})
        return {
            "link": "tcp",
            "peer": other,
            **readings,
            "congestion": value(lambda: congestion(sock)),
        }


def _readings(sock: socket.socket, wanted: dict[str, tuple[int, int]]) -> dict[str, Reading]:
    def option(level: int, name: int) -> Callable[[], object]:
        return lambda: sock.getsockopt(level, name)

    return {name: value(option(*where)) for name, where in wanted.items()}


def shown(address: tuple[Any, ...]) -> str:
    """`address:port`, an IPv4 address in its IPv6 disguise as itself."""
    return f"{str(address[0]).removeprefix('::ffff:')}:{address[1]}"
