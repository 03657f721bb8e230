"""A load as data: what is asked for, each process's share, and the results."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from stackctl.traffic.histogram import Histogram

Handshake = Literal["none", "secure", "tls"]
LATE_MICROSECONDS = 900_000
"""A connection that took longer has lost a SYN: the kernel retransmits it after a second."""


@dataclass(frozen=True, slots=True)
class Load:
    """What the operator asks for.

    Attributes:
        connections: how many to open and hold.
        rate: new connections a second; 0: as fast as `in_flight` allows.
        burst: open all at once.
        hold: seconds to hold them once all are open.
        bytes: size of each round trip while holding; 0: no round trips.
        handshake: what a client does before it counts as open.
        timeout: seconds that one connection may take to open.
        in_flight: how many each process opens at a time, with neither rate nor burst.
    """

    connections: int
    rate: float = 0.0
    burst: bool = False
    hold: float = 10.0
    bytes: int = 0
    handshake: Handshake = "secure"
    timeout: float = 20.0
    in_flight: int = 48


@dataclass(frozen=True, slots=True)
class Target:
    """Where the connections go: this machine's own stack.

    Attributes:
        host: IPv4 address.
        port: TCP port.
        domain: the site that an HTTP request asks for, and that fake TLS pretends to talk to.
        balanced_by_source: whether the stack keeps a client's address on one replica.
        replicas: how many replicas there are.
    """

    host: str
    port: int
    domain: str = "localhost"
    balanced_by_source: bool = False
    replicas: int = 1


@dataclass(frozen=True, slots=True)
class Machine:
    """The resources that the load can use on its machine.

    Attributes:
        cpus: how many processors it may run on.
        nofile: hard limit of descriptors of a process started here.
        port_range: ip_local_port_range, inclusive.
        files_free: how many more files the machine can open.
        memory_available: bytes.
    """

    cpus: int
    nofile: int
    port_range: tuple[int, int]
    files_free: int
    memory_available: int


@dataclass(frozen=True, slots=True)
class Share:
    """One process's part: the connections numbered first..first+connections-1."""

    first: int
    connections: int


@dataclass(frozen=True, slots=True)
class LoadPlan:
    """A load, decided.

    Attributes:
        sources: source addresses; connection number n uses `sources[n % len]`. Empty where the
            kernel picks the only address there is.
        open_seconds: after this time, connections that are not open have failed.
        warnings: what the operator should know before it starts.
    """

    load: Load
    target: Target
    shares: tuple[Share, ...]
    sources: tuple[str, ...]
    open_seconds: float
    warnings: tuple[str, ...] = ()


@dataclass(slots=True)
class Tally:
    """Results of connections: of one process, or of all together.

    Attributes:
        opened: connections whose replica answered.
        failed: connections that never opened, by cause.
        late: connections that opened, but later than LATE_MICROSECONDS.
        connect: times from connect() to that answer, in microseconds.
        held: connections open at the end of the holding.
        lost: connections that opened and ended before that end, by cause.
        trips: times of round trips while holding, in microseconds.
        trips_failed: failed round trips, by cause.
        opening: seconds from the first connect() to the last result.
        own_bytes: memory that the load's own process needed for the connections.
        held_highest: most connections held at once.
    """

    opened: int = 0
    failed: dict[str, int] = field(default_factory=dict)
    late: int = 0
    connect: Histogram = field(default_factory=Histogram)
    held: int = 0
    lost: dict[str, int] = field(default_factory=dict)
    trips: Histogram = field(default_factory=Histogram)
    trips_failed: dict[str, int] = field(default_factory=dict)
    opening: float = 0.0
    own_bytes: int = 0
    held_highest: int = 0

    def add(self, other: Tally) -> None:
        """Add another tally; processes work side by side, so the longest opening counts."""
        self.opened += other.opened
        self.late += other.late
        self.held += other.held
        self.own_bytes += other.own_bytes
        self.held_highest += other.held_highest
        self.opening = max(self.opening, other.opening)
        for mine, others in (
            (self.failed, other.failed),
            (self.lost, other.lost),
            (self.trips_failed, other.trips_failed),
        ):
            count_all(mine, others)
        self.connect.merge(other.connect)
        self.trips.merge(other.trips)


def count_all(into: dict[str, int], more: Mapping[str, int]) -> None:
    """Add counts by name."""
    for name, number in more.items():
        into[name] = into.get(name, 0) + number
