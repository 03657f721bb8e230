"""Listening sockets. They are made by hand, because asyncio's servers listen with a backlog of
100."""

import contextlib
import socket
from dataclasses import dataclass
from pathlib import Path

from .address import Address, show
from .config import ClientSocket, Config, UnixListener

# Telemt asks for no backlog on its unix socket, so the kernel's somaxconn alone decides.
UNIX_BACKLOG = 2**31 - 1

_BUFFER_BYTES = 256 * 1024


class CannotStartError(Exception):
    """The double cannot serve; the message is one line for the operator."""


@dataclass(frozen=True, slots=True)
class Bound:
    """A listening socket; path and inode identify a unix socket's file."""

    sock: socket.socket
    proxy_protocol: bool
    path: Path | None = None
    inode: int = 0


def bind_listeners(config: Config) -> tuple[list[Bound], list[str]]:
    """Return the clients' listening sockets, and a line for each address that was refused.

    Telemt goes on with the TCP addresses it gets. Raises CannotStartError where the unix socket
    cannot be bound.
    """
    bound: list[Bound] = []
    refused: list[str] = []
    for listener in config.tcp:
        try:
            sock = bind_tcp(
                listener.address,
                config.listen_backlog,
                reuse_port=listener.reuse_port,
                only_v6=True,
            )
        except OSError as error:
            refused.append(f"cannot bind {show(listener.address)}: {error.strerror}")
        else:
            bound.append(Bound(sock, listener.proxy_protocol))
    if config.unix is not None:
        try:
            bound.append(bind_unix(config.unix))
        except OSError as error:
            raise CannotStartError(f"cannot bind {config.unix.path}: {error.strerror}") from None
    return bound, refused


def bind_tcp(
    address: Address, backlog: int, *, reuse_port: bool = False, only_v6: bool = False
) -> socket.socket:
    """Return a non-blocking socket listening on a TCP address. Raises OSError."""
    family = socket.AF_INET6 if ":" in address[0] else socket.AF_INET
    sock = socket.socket(family, socket.SOCK_STREAM)
    try:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if reuse_port:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        if only_v6 and family == socket.AF_INET6:
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        sock.setblocking(False)
        sock.bind(address)
        sock.listen(backlog)
    except OSError:
        sock.close()
        raise
    return sock


def bind_unix(listener: UnixListener) -> Bound:
    """Return a non-blocking socket that listens on a path; a stale socket there is removed first.

    Raises OSError. Any other file at the path is left alone, and the bind fails.
    """
    path = Path(listener.path)
    if path.is_socket():
        path.unlink()
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        sock.setblocking(False)
        sock.bind(listener.path)
        # Before listen, so that no client meets the socket with the wrong permissions.
        if listener.mode is not None:
            path.chmod(listener.mode)
        sock.listen(UNIX_BACKLOG)
        return Bound(sock, listener.proxy_protocol, path, path.stat().st_ino)
    except OSError:
        sock.close()
        raise


def close_listener(bound: Bound) -> None:
    """Close the socket and remove its path, unless a successor has put its own there."""
    bound.sock.close()
    if bound.path is not None:
        with contextlib.suppress(OSError):
            if bound.path.stat().st_ino == bound.inode:
                bound.path.unlink()


def set_client_options(sock: socket.socket, options: ClientSocket) -> None:
    """Give an accepted TCP socket the options Telemt gives it, up to the first one refused."""
    tcp = socket.IPPROTO_TCP
    with contextlib.suppress(OSError):
        sock.setsockopt(tcp, socket.TCP_NODELAY, 1)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        sock.setsockopt(tcp, socket.TCP_KEEPIDLE, options.keepalive_s)
        sock.setsockopt(tcp, socket.TCP_KEEPINTVL, options.keepalive_s)
        # An explicit size is capped by rmem_max and wmem_max, and the kernel no longer tunes it.
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _BUFFER_BYTES)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _BUFFER_BYTES)
        sock.setsockopt(tcp, socket.TCP_USER_TIMEOUT, options.ack_timeout_s * 1000)
