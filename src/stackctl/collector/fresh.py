"""Properties of sockets made a moment ago in the calling thread's network namespace."""

from __future__ import annotations

import socket
from collections.abc import Callable

from stackctl.collector import diag
from stackctl.collector.reading import Reading, value

_HUGE = 2**31 - 1
_PORTS = 32


def readings() -> dict[str, Reading]:
    """Every property by name; bytes and seconds as the kernel gives them."""
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
        return diag.backlog_of(sock)


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
