"""Resolve names and connect to addresses, each within its time. The edge."""

from __future__ import annotations

import errno
import ipaddress
import socket
from queue import Empty, Queue
from threading import Thread

from stackctl.handshake.link_model import ConnectFailure
from stackctl.mtproto import Failure, Secret

MAX_ADDRESSES = 16
_NO_ROUTE = {errno.ENETUNREACH, errno.EHOSTUNREACH, errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT}


class UnresolvedError(Exception):
    """The host has no address; the text says why."""


def resolve(host: str, timeout: float) -> tuple[str, ...]:
    """Every address of a host, IPv4 and IPv6, in the order of preference; 16 at most.

    Args:
        host: a DNS name or an address.
        timeout: seconds; the system's resolver itself has no timeout.

    Raises:
        UnresolvedError: the name is not known, or nobody answered in time.
    """
    answer: Queue[tuple[str, ...] | OSError | UnicodeError] = Queue()

    def ask() -> None:
        try:
            found = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
            answer.put(tuple(dict.fromkeys(str(row[4][0]) for row in found)))
        except (OSError, UnicodeError) as error:
            answer.put(error)

    Thread(target=ask, daemon=True).start()
    try:
        result = answer.get(timeout=timeout)
    except Empty:
        raise UnresolvedError(f"no resolver answered within {timeout:.0f} s") from None
    if isinstance(result, OSError | UnicodeError):
        reason = getattr(result, "strerror", None) or "it is not a valid DNS name"
        raise UnresolvedError(reason)
    return result[:MAX_ADDRESSES]


def connect(address: str, port: int, timeout: float) -> socket.socket | ConnectFailure:
    """A TCP connection to one address, or why there is none.

    Args:
        address: IPv4 or IPv6.
        port: TCP port.
        timeout: seconds.
    """
    try:
        return socket.create_connection((address, port), timeout=max(timeout, 0.001))
    except TimeoutError:
        return ConnectFailure("timeout", f"no connection within {timeout:.1f} s")
    except ConnectionRefusedError:
        return ConnectFailure("refused", "the connection was refused")
    except ConnectionResetError:
        return ConnectFailure("reset", "the connection was accepted and reset at once")
    except OSError as error:
        cause = "no-route" if error.errno in _NO_ROUTE else "network"
        return ConnectFailure(cause, f"no connection: {error.strerror or error}")


def as_reset(failure: ConnectFailure, secret: Secret) -> Failure | None:
    """A connection that was accepted and reset at once, as a failure of the next hop."""
    if failure.cause != "reset":
        return None
    return Failure("tls" if secret.mode == "tls" else "answer", "reset", failure.detail)


def near(address: str) -> bool:
    """Whether an address is loopback or private: a PROXY header is tried only there."""
    parsed = ipaddress.ip_address(address.partition("%")[0])
    return parsed.is_loopback or parsed.is_private


def proxy_header(sock: socket.socket) -> bytes:
    """A PROXY header, version 1, with the true addresses of this connection."""
    here, there = sock.getsockname(), sock.getpeername()
    family = "TCP6" if sock.family == socket.AF_INET6 else "TCP4"
    ends = (here[0].partition("%")[0], there[0].partition("%")[0], str(here[1]), str(there[1]))
    return f"PROXY {family} {' '.join(ends)}\r\n".encode("ascii")
