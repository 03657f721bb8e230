"""The plan as data: every limit resolved to requirements, the services sized, the warnings.

Nothing after the plan decides anything.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from stackctl.limits import Place, Value
from stackctl.plan.predict import Ceiling
from stackctl.plan.sizes import Sizes
from stackctl.plan.stalled import Stalled


@dataclass(frozen=True, slots=True)
class HostFacts:
    """What is known of the machine and engine before planning; the collector reads it.

    Attributes:
        ceilings: highest hard limit the engine can grant, by ulimit name.
        choices: words a sysctl takes in a container, by key.
        sysctls: the host's own running values as text, by key; a missing key does not exist.
        subnets_taken: IPv4 networks in use on this machine, this stack's own left out.
        own_subnet: the subnet this stack's network already has, or "".
        engine: the engine's version.
        kernel: the kernel's release.
        memory_bytes: the machine's memory.
        tracked: whether the host's own connections are in its conntrack table, as the collector
            tried; None where that is not known.
        conntrack_used: entries in the host's conntrack table, this stack's own included.
    """

    ceilings: Mapping[str, int]
    choices: Mapping[str, tuple[str, ...]]
    sysctls: Mapping[str, str]
    subnets_taken: tuple[str, ...] = ()
    own_subnet: str = ""
    engine: str = ""
    kernel: str = ""
    memory_bytes: int = 0
    tracked: bool | None = None
    conntrack_used: int = 0


@dataclass(frozen=True, slots=True)
class Sources:
    """Which images run, once `auto` has been resolved.

    Attributes:
        telemt: "official", "binary" or "double".
        haproxy: "official" or "build".
        telemt_reference: an image to take in place of Telemt's official one; "" for the official
            one.
    """

    telemt: str
    haproxy: str
    telemt_reference: str = ""


@dataclass(frozen=True, slots=True)
class Written:
    """A value in one place, ready to be rendered.

    Attributes:
        place: the kind of file.
        where: section, key, unit or ulimit in that file.
        text: the directive with the value in it, or the value alone where `where` is the key.
        value: the value itself, for files with types.
    """

    place: Place
    where: str
    text: str
    value: Value


@dataclass(frozen=True, slots=True)
class Requirement:
    """One limit wanted on one target.

    Attributes:
        limit: key of the row in the limits table.
        target: "host", "haproxy", "telemt-N", or "haproxy/telemt-N" for a link.
        wanted: the value to be in force.
        written: every place it is set for this target.
        fitted: why it was lowered from the row's value; empty where it was not.
        left: why it is left alone where the host does not have it; empty where that counts as
            short.
        way_out: the remedy where it is not as wanted; empty for the row's own.
        chosen: true where stack.yaml overrides the row's value.
    """

    limit: str
    target: str
    wanted: Value
    written: tuple[Written, ...] = ()
    fitted: str = ""
    left: str = ""
    way_out: str = ""
    chosen: bool = False


@dataclass(frozen=True, slots=True)
class Replica:
    """One Telemt process.

    Attributes:
        name: "telemt-N", N from 1.
        address: its IPv4 address in the stack's subnet, or on loopback in host mode.
    """

    name: str
    address: str


@dataclass(frozen=True, slots=True)
class Hardware:
    """What stack.yaml asks of the host's processors and network cards, in its own words.

    Only the host knows its cards and queues, so host/prepare.sh turns the words into values there.

    Attributes:
        governor: name of a CPU frequency governor, or "keep".
        rps: "keep", "spread" or "off".
        rfs: flows remembered on the whole host; 0 keeps what the host has.
        xps: "keep" or "spread".
        rings: "keep" or "max".
        irq: "keep" or "spread".
    """

    governor: str = "keep"
    rps: str = "keep"
    rfs: int = 0
    xps: str = "keep"
    rings: str = "keep"
    irq: str = "keep"


@dataclass(frozen=True, slots=True)
class Datacentre:
    """The lab's stand-in for Telegram's data centres.

    Attributes:
        address: its IPv4 address in the stack's subnet, or on loopback in host mode.
        image: its image.
    """

    address: str
    image: str


@dataclass(frozen=True, slots=True)
class Bounds:
    """Bounds on one client; 0 is no bound.

    Attributes:
        address_connections: connections one address may hold, over all replicas.
        address_rate: connections one address may open in 10 seconds, over all replicas.
        user_connections: connections one user may hold, in each replica.
        user_addresses: addresses one user may come from, in each replica.
        user_quota_bytes: bytes one user may move, in each replica.
    """

    address_connections: int = 0
    address_rate: int = 0
    user_connections: int = 0
    user_addresses: int = 0
    user_quota_bytes: int = 0


@dataclass(frozen=True, slots=True)
class Plan:
    """A stack, decided.

    Attributes:
        modes: what clients may speak: classic, secure, tls.
        mask: host and TCP port of the fallback site; None where connections that are not MTProto
            are closed.
        datacentre: the lab's, or None where Telegram's own are used.
        metrics: host and TCP port where metrics can be read; None where they are off.
        bounds: bounds on one client.
        stalled: memory that a client may pin by not reading.
        relay_buffer_bytes: each replica's memory for relay buffers; 0 where the machine is not
            known: then each takes a quarter of what it sees.
        ceilings: how many connections each limit allows, the lowest first.
    """

    name: str
    mode: str
    network: str
    link: str
    balance: str
    buffers: str
    connections: int
    listen_host: str
    listen_port: int
    subnet: str
    gateway: str
    haproxy_address: str
    replicas: tuple[Replica, ...]
    sources: Sources
    haproxy_image: str
    telemt_image: str
    domain: str
    public_host: str
    public_port: int
    middle_proxy: bool
    modes: tuple[str, ...]
    mask: tuple[str, int] | None
    datacentre: Datacentre | None
    metrics: tuple[str, int] | None
    bounds: Bounds
    stalled: Stalled
    relay_buffer_bytes: int
    sizes: Sizes
    requirements: tuple[Requirement, ...]
    warnings: tuple[str, ...] = field(default=())
    ceilings: tuple[Ceiling, ...] = ()
    hardware: Hardware = field(default_factory=Hardware)

    @property
    def project(self) -> str:
        """The compose project; each stack's name has its own on an engine."""
        return f"stackctl-{self.name}"

    def written(self, target: str, place: Place) -> tuple[tuple[Requirement, Written], ...]:
        """What is set on a target in one kind of place, in the table's order."""
        return tuple(
            (requirement, written)
            for requirement in self.requirements
            if requirement.target == target
            for written in requirement.written
            if written.place is place
        )
