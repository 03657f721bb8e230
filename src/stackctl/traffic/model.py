"""What is asked of a load, what one process is given to do, and what came of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from stackctl.traffic.histogram import Histogram

Handshake = Literal["none", "secure", "tls"]
LATE_MICROSECONDS = 900_000
"""A connection that took longer has lost a SYN: the kernel sends the next after a second."""


@dataclass(frozen=True, slots=True)
class Load:
    """What the operator asks for.

    Attributes:
        connections: to open and hold.
        rate: new connections a second; 0: as fast as `in_flight` allows.
        burst: all at once.
        hold: seconds to hold them once all are open.
        bytes: of each round trip while holding; 0: none are made.
        handshake: what a client does before it counts as open.
        timeout: seconds one connection may take to be open.
        in_flight: connections under way at once in each process, where neither rate nor burst.
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
        domain: the site that a stranger asks for, and that fake TLS pretends to talk to.
        balanced_by_source: the stack keeps a client's address on one replica.
        replicas: how many there are.
    """

    host: str
    port: int
    domain: str = "localhost"
    balanced_by_source: bool = False
    replicas: int = 1


@dataclass(frozen=True, slots=True)
class Machine:
    """What the load can have of the machine it starts on.

    Attributes:
        cpus: usable ones.
        nofile: hard limit of descriptors of a process started here.
        port_range: ip_local_port_range, inclusive.
        files_free: descriptors the machine has left.
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
        sources: addresses that connection number n takes in turn, `sources[n % len]`; empty where
            the kernel picks the only one there is.
        open_seconds: after that many, what is not open has failed.
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
    """What came of connections: one process's, or all of them together.

    Attributes:
        opened: connections from whose replica something came back.
        failed: that were never open, by cause.
        late: opened, but later than LATE_MICROSECONDS.
        connect: from connect() to that answer, in microseconds.
        held: open at the end of the holding.
        lost: open, and gone before that end, by cause.
        trips: round trips while holding, in microseconds.
        trips_failed: by cause.
        opening: seconds from the first connect() to the last result.
        own_bytes: memory of the generator's own that came with the connections.
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
        """Take in another's; processes work side by side, so the longest opening counts."""
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
