"""The form of a row of the limits table: one knob, where it is set, and how it is seen to work."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

Value = int | str | tuple[int, ...]
"""A limit's value: a number in the unit of its kind, a word, or a tuple of numbers."""

INFINITY = 2**63 - 1
"""`unlimited` and `infinity`, as a number that every comparison understands."""


class Kind(StrEnum):
    """What a value is. It decides how stack.yaml spells the value and how it is printed."""

    COUNT = "count"
    BYTES = "bytes"
    SECONDS = "seconds"
    MILLISECONDS = "milliseconds"
    FLAG = "flag"
    WORD = "word"
    PORT_RANGE = "port range"
    TRIPLE = "min default max"
    SOFT_HARD = "soft hard"


class Compare(StrEnum):
    """When an observed value satisfies the wanted one; tuples compare member by member."""

    EQUAL = "="
    AT_LEAST = ">="
    AT_MOST = "<="
    COVERS = "covers"
    """The observed range contains the wanted one."""
    WITHIN = "within"
    """The observed range lies inside the range that the limit's first reading shows."""


class Scope(StrEnum):
    """How far one value of the knob reaches."""

    HOST = "host"
    NETNS = "netns"
    PROCESS = "process"
    LISTENER = "listener"
    HAPROXY = "haproxy"
    LINK = "link"
    TELEMT = "telemt"


class Role(StrEnum):
    """What a requirement can apply to. LINK is HAProxy's server line for one replica."""

    HOST = "host"
    HAPROXY = "haproxy"
    TELEMT = "telemt"
    LINK = "link"


class Place(StrEnum):
    """Where a value is written; every place has a renderer."""

    SYSCTL_D = "sysctl.d"
    MODULES_LOAD = "modules-load.d"
    LIMITS_D = "limits.d"
    SYSTEMD = "systemd drop-in"
    COMPOSE_SYSCTL = "compose sysctls"
    COMPOSE_ULIMIT = "compose ulimits"
    COMPOSE_PIDS = "compose pids_limit"
    HAPROXY_CFG = "haproxy.cfg"
    TELEMT_TOML = "telemt.toml"


HOST_PLACES = frozenset({Place.SYSCTL_D, Place.MODULES_LOAD, Place.LIMITS_D, Place.SYSTEMD})
"""Places on the machine itself, written by host preparation and never by `up`."""


class Reader(StrEnum):
    """How a value is observed; every reader has a function in stackctl.checks.readers."""

    SYSCTL = "sysctl"
    FRESH_SOCKET = "fresh socket"
    RLIMIT = "rlimit"
    CGROUP = "cgroup"
    LISTENER = "listener"
    ENGINE_RLIMIT = "engine rlimit"
    ENGINE_CGROUP = "engine cgroup"
    LOGIN_LIMITS = "login limits"
    NIC_QDISC = "nic qdisc"
    HAPROXY_INFO = "haproxy info"
    HAPROXY_STAT = "haproxy stat"
    HAPROXY_POOL = "haproxy pool"
    HAPROXY_SESSION = "haproxy session"
    HAPROXY_SOCKET = "haproxy socket"
    HAPROXY_CONFIG = "haproxy config"
    HAPROXY_SPREAD = "haproxy spread"
    TELEMT_CONFIG = "telemt config"
    TELEMT_READY = "telemt ready"
    LINK_ADDRESS = "link address"
    CLIENT_ADDRESS = "client address"
    HANDSHAKE = "handshake"


class Depth(StrEnum):
    """How deep a piece of evidence reaches."""

    DECLARED = "declared"
    """What was asked for: a file or the engine's own record."""
    APPLIED = "applied"
    """What the process's own namespace and /proc say."""
    EFFECTIVE = "effective"
    """What a live socket or process shows."""


@dataclass(frozen=True, slots=True)
class Setting:
    """One place a limit is written.

    Attributes:
        place: which kind of file.
        where: the section, sysctl key, unit or ulimit in that file.
        text: the directive; `{}` stands for the value. Empty where `where` is the key itself.
    """

    place: Place
    where: str
    text: str = ""


@dataclass(frozen=True, slots=True)
class Read:
    """One way to observe a limit.

    Attributes:
        reader: which reader.
        arg: what it reads: a sysctl key, a socket property, a field of `show info`.
        depth: how deep this evidence reaches.
        part: index into a tuple value that this reading shows; None for the whole.
        compare: how this reading compares where it differs from the limit's own rule.
    """

    reader: Reader
    arg: str
    depth: Depth
    part: int | None = None
    compare: Compare | None = None


@dataclass(frozen=True, slots=True)
class Limit:
    """One knob, of the guide or of our own.

    Attributes:
        key: its name in stack.yaml, reports and the command line.
        section: the section of Telemt's high-load guide that asks for it. Where none does, the one
            of its subject: 1 descriptors and processes, 2 network, 3 conntrack, 4 HAProxy and
            Telemt.
        guide: the guide's literal value, as text; empty where the guide does not name the knob.
        wanted: the value the stack delivers; None where `derive` computes it.
        derive: attribute of plan.sizes.Sizes that gives the value, for numbers that follow from
            `connections`.
        why: what goes wrong without it.
        own_number: stack.yaml may give another number, although the value is derived.
        departs: why `wanted` differs from `guide`; empty where it does not. Where `guide` is empty:
            "Not in the guide", and what the value rests on.
        on: what it is required on in bridge mode. On the host's network a netns limit is required
            on the host instead.
        link: only for this kind of link ("unix" or "tcp"); empty for both.
        network: only in this network mode ("bridge" or "host"); empty for both.
        buffers: only with this `buffers` of stack.yaml; empty for any.
        ceiling: key of the limit that caps this one in the same namespace.
        settings: every place it is written.
        reads: every way it is observed, shallow first.
        remedy: what an operator does when it is short.
    """

    key: str
    section: str
    kind: Kind
    compare: Compare
    scope: Scope
    guide: str
    why: str
    on: tuple[Role, ...]
    settings: tuple[Setting, ...]
    reads: tuple[Read, ...]
    remedy: str
    wanted: Value | None = None
    derive: str = ""
    own_number: bool = False
    departs: str = ""
    link: str = ""
    network: str = ""
    buffers: str = ""
    ceiling: str = ""

    @property
    def depth(self) -> Depth:
        """The deepest evidence there is for this limit."""
        return self.reads[-1].depth
