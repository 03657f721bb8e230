"""Options of sockets: fresh ones in a network namespace, and live ones of another process."""

from __future__ import annotations

import os
import socket
from collections.abc import Callable, Mapping
from typing import Any

from stackctl.collector import netlink
from stackctl.collector.answer import LiveSocket, Reading
from stackctl.collector.reading import failure, value

_HUGE = 2**31 - 1
_PORTS = 32
_PIDFD_GETFD = 438  # the same number on every architecture

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
    # Bit 1: a program set the send buffer; bit 2: the receive buffer. Without it they autotune.
    "buffers_asked": (_SOCKET, _BUF_LOCK),
}
"""Options that a unix socket has, too."""


def fresh() -> dict[str, Reading[Any]]:
    """Every property of fresh sockets in the calling thread's network namespace, by name.

    Bytes and seconds are as the kernel gives them.
    """
    return {name: value(take) for name, take in PROPERTIES.items()}


def _tcp(level: int, option: int) -> Callable[[], int]:
    return lambda: _ask(socket.SOCK_STREAM, level, option)


def _udp(option: int) -> Callable[[], int]:
    return lambda: _ask(socket.SOCK_DGRAM, socket.SOL_SOCKET, option)


def _ask(kind: int, level: int, option: int) -> int:
    with socket.socket(socket.AF_INET, kind) as sock:
        return sock.getsockopt(level, option)


def congestion(sock: socket.socket) -> str:
    """The congestion control this TCP socket uses."""
    raw = sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_CONGESTION, 16)
    return raw.split(b"\0", 1)[0].decode(errors="replace")


def _congestion() -> str:
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as sock:
        return congestion(sock)


def _most(option: int) -> Callable[[], int]:
    def take() -> int:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
            sock.setsockopt(socket.SOL_SOCKET, option, _HUGE)
            # The kernel doubles what is asked for, to make room for its own bookkeeping.
            return sock.getsockopt(socket.SOL_SOCKET, option) // 2

    return take


def _backlog() -> int:
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as sock:
        sock.bind(("127.0.0.1", 0))
        sock.listen(_HUGE)
        return netlink.backlog_of(sock)


def _ports() -> list[int]:
    socks: list[socket.socket] = []
    try:
        for _ in range(_PORTS):
            sock = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
            socks.append(sock)
            sock.bind(("127.0.0.1", 0))
        ports = [sock.getsockname()[1] for sock in socks]
        return [min(ports), max(ports)]
    finally:
        for sock in socks:
            sock.close()


PROPERTIES: dict[str, Callable[[], object]] = {
    "congestion": _congestion,
    "rcvbuf": _tcp(socket.SOL_SOCKET, socket.SO_RCVBUF),
    "sndbuf": _tcp(socket.SOL_SOCKET, socket.SO_SNDBUF),
    "keepidle": _tcp(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE),
    "keepintvl": _tcp(socket.IPPROTO_TCP, socket.TCP_KEEPINTVL),
    "keepcnt": _tcp(socket.IPPROTO_TCP, socket.TCP_KEEPCNT),
    "linger2": _tcp(socket.IPPROTO_TCP, socket.TCP_LINGER2),
    "backlog": _backlog,
    "ports": _ports,
    "udp_rcvbuf": _udp(socket.SO_RCVBUF),
    "udp_sndbuf": _udp(socket.SO_SNDBUF),
    "rcvbuf_max": _most(socket.SO_RCVBUF),
    "sndbuf_max": _most(socket.SO_SNDBUF),
}


def duplicate(pid: int, number: int) -> socket.socket:
    """A duplicate of another process's socket; closing it does not close theirs.

    Raises:
        OSError: the kernel refuses (no CAP_SYS_PTRACE, or Yama's ptrace_scope is 3), or there is
            no such descriptor.
    """
    import ctypes

    libc = ctypes.CDLL(None, use_errno=True)
    process = os.pidfd_open(pid)
    try:
        handle = libc.syscall(_PIDFD_GETFD, process, number, 0)
        if handle < 0:
            problem = ctypes.get_errno()
            raise OSError(problem, os.strerror(problem))
    finally:
        os.close(process)
    return socket.socket(fileno=handle)


def live(pid: int, number: int, peer: str = "") -> Reading[LiveSocket]:
    """Options of a socket that another process holds, read on a duplicate of it.

    Args:
        pid: the process that holds it.
        number: its descriptor there.
        peer: address:port that the connection must have at its other end; "" for any. It guards
            against a descriptor that was closed and reused meanwhile.
    """
    try:
        sock = duplicate(pid, number)
    except OSError as problem:
        return Reading(error=f"pidfd_getfd: {failure(problem).error}")
    with sock:
        if sock.family not in (socket.AF_INET, socket.AF_INET6):
            return Reading(LiveSocket("unix", "", _options(sock, _BUFFERS)))
        try:
            other = shown(sock.getpeername())
        except OSError as problem:
            return Reading(error=f"getpeername: {failure(problem).error}")
        if peer and other != peer:
            words = f"descriptor {number} now belongs to another connection, {other}"
            return Reading(error=words)
        options = _options(sock, {**_OPTIONS, **_BUFFERS})
        options["congestion"] = value(lambda: congestion(sock))
        return Reading(LiveSocket("tcp", other, options))


def _options(sock: socket.socket, wanted: Mapping[str, tuple[int, int]]) -> dict[str, Reading[Any]]:
    def option(level: int, name: int) -> Callable[[], int]:
        return lambda: sock.getsockopt(level, name)

    return {name: value(option(*where)) for name, where in wanted.items()}


def shown(address: tuple[Any, ...]) -> str:
    """`address:port`; an IPv4-mapped IPv6 address as IPv4."""
    return f"{str(address[0]).removeprefix('::ffff:')}:{address[1]}"
