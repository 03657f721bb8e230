"""Memory that a client pins when it stops reading, and what a bound on that costs.

Such a client fills, one after the other, HAProxy's socket to it, HAProxy's own buffer, the link and
the replica's socket. With the guide's 16 MB a few thousand such clients fill a machine.
"""

from __future__ import annotations

from dataclasses import dataclass

from stackctl.limits import TABLE
from stackctl.spec import Stack

OVERRUN = 40960
"""Bytes by which a socket may overrun its send buffer, because the last segment is taken whole
(seen: 164,480 where 131,072 were allowed)."""

DOUBLED = 2
"""The kernel gives a socket buffer twice the size that a program asks for (socket(7))."""


@dataclass(frozen=True, slots=True)
class Stalled:
    """The most that one stalled client may pin, and what one client can get; all in bytes.

    Attributes:
        client: in HAProxy's socket to the client.
        haproxy: in HAProxy's own buffer.
        link: in HAProxy's socket to the replica; 0 on unix links, which have no such buffer.
        replica: in the replica's socket, where the replica does not bound it itself.
        window: what one connection can send for certain in one round trip to its client.
    """

    client: int
    haproxy: int
    link: int
    replica: int
    window: int

    @property
    def total(self) -> int:
        """All of it."""
        return self.client + self.haproxy + self.link + self.replica


def stalled(stack: Stack) -> Stalled:
    """The bounds of a stack, from its rows of the limits table and stack.yaml.

    With `buffers: throughput` these are ceilings of autotuning. A connection that has been fast
    comes near them: 4.6 to 5.7 MiB were measured for each of 200 that stopped at the same time.
    """
    bounded = stack.buffers == "density"
    largest_sent = _largest(stack, "net.ipv4.tcp_wmem")
    sndbuf = _largest(stack, "haproxy.sndbuf_client")
    link = replica = 0
    if stack.link == "unix":
        # Nothing else bounds the send buffer of a replica's unix socket.
        replica = _largest(stack, "net.core.wmem_default") + OVERRUN
    elif bounded:
        link = DOUBLED * _largest(stack, "haproxy.rcvbuf_server")
        replica = _largest(stack, "net.ipv4.tcp_notsent_lowat") + OVERRUN
    else:
        link, replica = _largest(stack, "net.ipv4.tcp_rmem"), largest_sent
    return Stalled(
        client=DOUBLED * sndbuf + OVERRUN if bounded else largest_sent,
        haproxy=_largest(stack, "haproxy.bufsize"),
        link=link,
        replica=replica,
        window=sndbuf if bounded else largest_sent // DOUBLED,
    )


def speed(window: int, round_trip_ms: int) -> int:
    """Bytes a second of one connection that has `window` bytes on their way at a time."""
    return window * 1000 // round_trip_ms


def per_gib(each: int) -> int:
    """How many times `each` bytes fit into a GiB."""
    return (1 << 30) // each


def _largest(stack: Stack, key: str) -> int:
    value = stack.limits.overrides.get(key, TABLE[key].wanted)
    largest = value[-1] if isinstance(value, tuple) else value
    if not isinstance(largest, int):
        raise TypeError(f"row {key} has no number of bytes")
    return largest
