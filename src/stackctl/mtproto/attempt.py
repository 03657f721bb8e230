"""The edge: a connected socket, a deadline, and the handshake between them."""

from __future__ import annotations

import os
import socket
import time

from stackctl.mtproto.handshake import Handshake
from stackctl.mtproto.model import Attempt, Framing, Secret

LINGER = 1.0
"""Seconds to listen to another server that answers, so that the report can say what it is."""
_CHUNK = 2**15


def attempt(
    sock: socket.socket,
    secret: Secret,
    *,
    dc: int = 2,
    deadline: float,
    framing: Framing | None = None,
    unix_time: float | None = None,
) -> Attempt:
    """Shake hands through a connected socket up to resPQ; never closes it, never raises for the
    peer.

    Args:
        sock: connected, of any family; a PROXY header has been sent already, if there is one.
        secret: the user's secret.
        dc: the data centre to ask for.
        deadline: time.monotonic() value at which the attempt ends, whatever the peer does.
        framing: framing of mode classic, abridged by default; the other modes always use padded.
        unix_time: the time that the client claims, in seconds; by default now.

    Returns:
        The hops passed, with milliseconds, and the failure if there was one.
    """
    handshake = Handshake(
        secret,
        dc=dc,
        framing="padded" if secret.mode != "classic" else framing or "abridged",
        unix_time=time.time() if unix_time is None else unix_time,
        random=os.urandom,
    )
    before = sock.gettimeout()
    try:
        _converse(sock, handshake, deadline)
    except TimeoutError:
        handshake.ended("timeout", "nothing more came until the deadline", time.monotonic())
    except (ConnectionResetError, BrokenPipeError):
        handshake.ended("reset", "the peer reset the connection", time.monotonic())
    except OSError as error:
        handshake.ended("network", f"the connection broke ({error.strerror})", time.monotonic())
    finally:
        sock.settimeout(before)
    assert handshake.result is not None
    return handshake.result


def _converse(sock: socket.socket, handshake: Handshake, deadline: float) -> None:
    """Send and receive until there is a result.

    Raises:
        OSError: the connection broke, or the deadline passed.
    """
    _send(sock, handshake.start(time.monotonic()), deadline)
    lingering = False
    while handshake.result is None:
        sock.settimeout(_left(deadline))
        data = sock.recv(_CHUNK)
        if not data:
            handshake.ended("closed", "the peer closed the connection", time.monotonic())
            return
        answer = handshake.received(data, time.monotonic())
        if answer and handshake.result is None:
            _send(sock, answer, deadline)
        if handshake.lingering and not lingering:
            lingering = True
            deadline = min(deadline, time.monotonic() + LINGER)


def _send(sock: socket.socket, data: bytes, deadline: float) -> None:
    sock.settimeout(_left(deadline))
    sock.sendall(data)


def _left(deadline: float) -> float:
    """Seconds until the deadline, above zero, because a timeout of zero makes the socket
    non-blocking."""
    left = deadline - time.monotonic()
    if left <= 0:
        raise TimeoutError
    return left
