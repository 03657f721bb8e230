"""The edge: a connected socket, a deadline, and the handshake between them."""

from __future__ import annotations

import os
import socket
import time

from stackctl.mtproto.handshake import Handshake
from stackctl.mtproto.model import Attempt, Framing, Secret

LINGER = 1.0
"""Seconds to hear a stranger out, so that the report can say who it is."""
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
    """Shake hands through a connected socket up to resPQ; closes nothing, never raises for a peer.

    Args:
        sock: connected, of any family; what goes before the handshake (a PROXY header) is sent.
        secret: what to show the proxy.
        dc: the data centre to ask for.
        deadline: time.monotonic() value at which it is over, whatever the peer does.
        framing: classic's, abridged unless given; the other modes have padded alone.
        unix_time: the time to claim, seconds; now unless given.

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
    """Seconds until the deadline, above zero: a timeout of zero would mean not to wait at all."""
    left = deadline - time.monotonic()
    if left <= 0:
        raise TimeoutError
    return left
