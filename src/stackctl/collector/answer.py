"""What the collector answers: the types that it fills in and that stackctl reads.

Every raw fact is a Reading: its value, or why it could not be read. An error is never replaced by
a default. Numbers are in the kernel's own units, which each attribute names.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

from stackctl.collector.request import Request

VERSION = 2
"""Version of request and answer. Another version is refused."""

T = TypeVar("T")


class Unread(Exception):
    """A value could not be read; the text says why, for the operator."""


@dataclass(frozen=True, slots=True)
class Reading(Generic[T]):
    """One raw value, or why there is none.

    Attributes:
        value: what was read; None where it could not be.
        error: why it could not be read, such as "ENOENT: No such file or directory".
        path: the file or URL it came from; empty where there is none.
    """

    value: T | None = None
    error: str = ""
    path: str = ""

    def get(self, what: str) -> T:
        """The value.

        Args:
            what: the name of the value in words, for the operator.

        Raises:
            Unread: it could not be read.
        """
        if self.value is None:
            raise Unread(f"{what}: {self.error or 'not read'}")
        return self.value


NOT_READ: Reading[Any] = Reading(error="not read by the collector")
"""Stands for a reading that was not asked for."""


@dataclass(frozen=True, slots=True)
class Cgroup:
    """The pids cgroup of a process. The root of the hierarchy has no limit and reads "max".

    Attributes:
        limit: pids.max of its own directory.
        current: pids.current of its own directory.
        ancestors: pids.max of each directory above it, the nearest first.
        path: the process's path in the hierarchy.
    """

    limit: Reading[str]
    current: Reading[str]
    ancestors: tuple[Reading[str], ...] = ()
    path: str = ""


@dataclass(frozen=True, slots=True)
class Told:
    """The settings of a dockerd.

    Attributes:
        flags: its arguments about proxies, limits and firewall rules.
        file: the keys of its daemon.json about the same; ENOENT where it has none.
        netns: its network namespace. The collector runs in that of the engine that started it.
    """

    flags: Reading[tuple[str, ...]]
    file: Reading[dict[str, Any]]
    netns: Reading[str]


@dataclass(frozen=True, slots=True)
class Daemon:
    """A process of an engine.

    Attributes:
        pid: its id on the host.
        comm: its name as /proc has it; empty where it has ended.
        parent: its parent's id.
        limits: text of /proc/PID/limits.
        status: lines Uid, Gid, Groups, CapEff, NoNewPrivs, Seccomp, NSpid of /proc/PID/status.
        user_namespace: `user:[4026531837]` in the initial user namespace.
        cgroup: its pids cgroup.
        told: its settings; None where it is not a dockerd.
    """

    pid: int
    comm: str
    parent: int
    limits: Reading[str]
    status: Reading[str]
    user_namespace: Reading[str]
    cgroup: Cgroup
    told: Told | None = None


@dataclass(frozen=True, slots=True)
class DockerProxy:
    """A docker-proxy process: it accepts connections that the engine's firewall rules do not.

    Attributes:
        pid: its id on the host.
        parent: its parent's id.
        arguments: its argument list, with `-host-port 8443`.
        netns: its network namespace; another engine of this machine may have another.
    """

    pid: int
    parent: int
    arguments: Reading[tuple[str, ...]]
    netns: Reading[str]


@dataclass(frozen=True, slots=True)
class Engines:
    """The engine's processes.

    Attributes:
        starter: the process that starts containers: the parent of the collector's own process.
        daemons: every running dockerd, containerd and podman.
        proxies: every docker-proxy.
    """

    starter: Daemon
    daemons: tuple[Daemon, ...]
    proxies: tuple[DockerProxy, ...]


@dataclass(frozen=True, slots=True)
class Qdisc:
    """A queueing discipline of a card; the root's parent is 0xffffffff."""

    kind: str
    handle: int
    parent: int


@dataclass(frozen=True, slots=True)
class Card:
    """A network card.

    Attributes:
        name: such as "eth0".
        up: whether it is up.
        default_route: whether it carries the default route.
        addresses: such as `192.0.2.2/24`.
        qdiscs: its queueing disciplines.
    """

    name: str
    up: bool
    default_route: bool
    addresses: tuple[str, ...]
    qdiscs: tuple[Qdisc, ...]


@dataclass(frozen=True, slots=True)
class Clock:
    """adjtimex(2): state, status (STA_ bits), and offset, maxerror, esterror in microseconds."""

    state: int
    status: int
    offset: int
    maxerror: int
    esterror: int


@dataclass(frozen=True, slots=True)
class Tracking:
    """Whether connections of the host's network namespace are tracked.

    Attributes:
        ipv4: 1 where a connection that the collector made on loopback is in the conntrack table, 0
            where it is not; ENOPROTOOPT where the kernel has no table.
        ipv6: the same.
        count: text of nf_conntrack_count.
    """

    ipv4: Reading[int]
    ipv6: Reading[int]
    count: Reading[str]


@dataclass(frozen=True, slots=True)
class Security:
    """Security modules of the kernel.

    Attributes:
        lsm: their list.
        apparmor: Y or N.
        selinux: 1 where it enforces.
        parser: paths at which apparmor_parser is in the engine's root.
        label: the collector's own label.
    """

    lsm: Reading[str]
    apparmor: Reading[str]
    selinux: Reading[str]
    parser: Reading[tuple[str, ...]]
    label: Reading[str]


@dataclass(frozen=True, slots=True)
class Counters:
    """What the kernel counts in one network namespace: texts of /proc/PID/net.

    Attributes:
        netstat: /proc/PID/net/netstat.
        sockstat: /proc/PID/net/sockstat.
        conntrack: /proc/PID/net/stat/nf_conntrack; ENOENT where nothing is tracked.
    """

    netstat: Reading[str]
    sockstat: Reading[str]
    conntrack: Reading[str]


@dataclass(frozen=True, slots=True)
class Descriptors:
    """Descriptors of the process of a container that is closest to its soft limit.

    Attributes:
        used: open descriptors.
        soft: the soft limit.
    """

    used: int
    soft: int


@dataclass(frozen=True, slots=True)
class Host:
    """The machine, read in the host's own network namespace.

    Attributes:
        kernel: its release.
        machine: its architecture as uname has it.
        cpus: how many processors a process may run on.
        memory: MemTotal in bytes.
        memory_available: MemAvailable in bytes.
        boot_id: text of boot_id.
        netns: `net:[4026531840]`.
        sysctls: text of each key that was asked for.
        available: congestion controls that the kernel has.
        allowed: congestion controls that a process without privileges may use.
        fresh: properties of fresh sockets, see Target.
        listening: (address, port) of each TCP listener.
        tracking: whether connections are tracked.
        clock: the kernel's clock.
        keepers: names of the time daemons that run.
        cgroups: the lines of the engine's mountinfo that mount a control group hierarchy.
        security: security modules.
        unsaid: /proc/PID/limits of the collector, whose container sets no limits.
        cards: network cards, those with a default route first.
        engine: the engine's processes.
        login: limits.conf and limits.d/*.conf in the order PAM reads them.
        counters: those of the host's network namespace; None where they were not asked for.
        file_nr: text of fs.file-nr.
    """

    kernel: str
    machine: str
    cpus: int
    memory: Reading[int]
    memory_available: Reading[int]
    boot_id: Reading[str]
    netns: str
    sysctls: dict[str, Reading[str]]
    available: Reading[str]
    allowed: Reading[str]
    fresh: dict[str, Reading[Any]]
    listening: Reading[tuple[tuple[str, int], ...]]
    tracking: Tracking
    clock: Reading[Clock]
    keepers: Reading[tuple[str, ...]]
    cgroups: Reading[str]
    security: Security
    unsaid: Reading[str]
    cards: Reading[tuple[Card, ...]]
    engine: Engines
    login: tuple[Reading[str], ...]
    counters: Counters | None = None
    file_nr: Reading[str] = NOT_READ


@dataclass(frozen=True, slots=True)
class OlderWorker:
    """A worker from before a reload that still serves its sessions; started in epoch seconds."""

    pid: int
    started: float


@dataclass(frozen=True, slots=True)
class Process:
    """The live process of a target; for HAProxy its newest worker.

    Attributes:
        pid: its id on the host.
        comm: its name.
        ticks: start time in clock ticks after boot.
        started: start time in seconds since the epoch, exact to 10 ms.
        older: workers from before a reload.
        limits: text of /proc/PID/limits.
        status: see Daemon.
        first: id of the container's first process. HAProxy's worker forbids itself to fork.
        first_limits: text of /proc/PID/limits of the first process.
    """

    pid: int
    comm: str
    ticks: int
    started: float
    older: tuple[OlderWorker, ...]
    limits: Reading[str]
    status: Reading[str]
    first: int
    first_limits: Reading[str]


@dataclass(frozen=True, slots=True)
class Listener:
    """A listening socket of a network namespace; TCP has address and port, unix has path.

    Attributes:
        inode: the socket's.
        backlog: sk_max_ack_backlog, which `ss` shows as Send-Q; None where the kernel shows none.
        queue: length of the accept queue.
        address: of a TCP socket.
        port: of a TCP socket; 0 for a unix socket.
        path: as bound: HAProxy binds `NAME.tmp` and renames it.
        owners: processes of this target's own container that hold it, where they were asked for.
    """

    inode: int
    backlog: int | None
    queue: int | None
    address: str = ""
    port: int = 0
    path: str = ""
    owners: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class Listeners:
    """All listeners of a network namespace, and errors of reading them."""

    tcp: tuple[Listener, ...]
    unix: tuple[Listener, ...]
    errors: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class File:
    """A configuration file, with the times its content and its inode changed, in epoch seconds."""

    text: Reading[str]
    path: str
    mtime: float = 0.0
    ctime: float = 0.0


@dataclass(frozen=True, slots=True)
class Http:
    """An HTTP answer."""

    status: int
    body: str


@dataclass(frozen=True, slots=True)
class FailedHandshakes:
    """Telemt's page /beobachten (German: to observe), which counts failed handshakes by address.

    Attributes:
        before: the page before the collector's connections, without the lines that did not change.
        after: the page after them, likewise.
    """

    before: str
    after: str


@dataclass(frozen=True, slots=True)
class HaproxyAnswers:
    """HAProxy's answers on its admin socket."""

    info: Reading[str]
    stat: Reading[str]
    pools: Reading[str]


@dataclass(frozen=True, slots=True)
class TelemtAnswers:
    """A replica's answers on its API and its pages.

    Attributes:
        health: /v1/health.
        ready: /v1/health/ready.
        failed: its failed handshakes, where the collector made connections.
        refused: the counters of refusals on its metrics page, where they were asked for.
    """

    health: Reading[Http]
    ready: Reading[Http]
    failed: Reading[FailedHandshakes] = NOT_READ
    refused: Reading[dict[str, float]] = NOT_READ


@dataclass(frozen=True, slots=True)
class Target:
    """One container of the stack.

    Attributes:
        process: its live process.
        cgroup: its pids cgroup.
        config: its configuration file.
        netns: its network namespace.
        sysctls: text of each key that was asked for, in that namespace.
        fresh: properties of fresh sockets there, by name: congestion, rcvbuf, sndbuf, keepidle,
            keepintvl, keepcnt, linger2, backlog, ports [lowest, highest of 32], udp_rcvbuf,
            udp_sndbuf, rcvbuf_max, sndbuf_max. Bytes and seconds as the kernel gives them.
        listeners: the listeners of that namespace.
        ms: milliseconds that reading the target took.
        haproxy: HAProxy's own answers; None for a replica.
        telemt: a replica's own answers; None for HAProxy.
        counters: those of its network namespace; None where they were not asked for.
        descriptors: those of its fullest process, where counters were asked for.
        memory: anonymous bytes of all its processes, where counters were asked for.
    """

    process: Process
    cgroup: Cgroup
    config: File
    netns: Reading[str]
    sysctls: dict[str, Reading[str]]
    fresh: dict[str, Reading[Any]]
    listeners: Listeners
    ms: float
    haproxy: HaproxyAnswers | None = None
    telemt: TelemtAnswers | None = None
    counters: Counters | None = None
    descriptors: Reading[Descriptors] = NOT_READ
    memory: Reading[int] = NOT_READ


@dataclass(frozen=True, slots=True)
class LiveSocket:
    """Options of a socket that another process holds, read on a duplicate of it.

    Attributes:
        link: "tcp" or "unix".
        peer: address:port at its other end; empty for a unix socket.
        options: keepalive, keepidle, keepintvl, keepcnt, congestion, rcvbuf, sndbuf, user_timeout,
            and buffers_asked (bit 1: the send buffer does not autotune, bit 2: the receive buffer).
            A unix socket has the buffers only.
    """

    link: str
    peer: str
    options: dict[str, Reading[Any]]


@dataclass(frozen=True, slots=True)
class Connection:
    """A connection that the collector made to HAProxy and held open while it read.

    Attributes:
        via: "published" (from the host) or "inside" (from HAProxy's own namespace).
        remote: address:port it was made to.
        local: address:port of the collector's end; empty where there is no connection.
        error: why it could not be made, or could not be found in HAProxy.
        sent: bytes sent on it.
        recognised_by: how HAProxy's session was found where the address was rewritten on the way.
        seen_as: address:port that HAProxy sees as the client.
        server: the replica that HAProxy connected it to.
        session: text of `show sess ID`; None where HAProxy has no session of it.
        client_socket: HAProxy's live socket to the client.
        server_socket: HAProxy's live socket to the replica.
    """

    via: str
    remote: str
    local: str = ""
    error: str = ""
    sent: int = 0
    recognised_by: str = ""
    seen_as: str = ""
    server: str = ""
    session: Reading[str] | None = None
    client_socket: Reading[LiveSocket] = NOT_READ
    server_socket: Reading[LiveSocket] = NOT_READ


@dataclass(frozen=True, slots=True)
class Step:
    """A hop that was passed: "connect", "proxy", "tls" or "answer", and its milliseconds."""

    hop: str
    ms: float


@dataclass(frozen=True, slots=True)
class Ended:
    """Where a handshake ended: the hop, a stable word for the cause, and a sentence."""

    hop: str
    cause: str
    detail: str


@dataclass(frozen=True, slots=True)
class Tried:
    """One connection of a handshake, and how far it got.

    Attributes:
        steps: the hops it passed.
        ended: where it ended; None where a data centre answered.
        local: address:port of the collector's end, on TCP.
        client: address:port of the client that its PROXY header named.
    """

    steps: tuple[Step, ...] = ()
    ended: Ended | None = None
    local: str = ""
    client: str = ""


@dataclass(frozen=True, slots=True)
class Arrived:
    """Whether a replica names our address among those the user is connected from.

    Attributes:
        named: whether it names our address.
        instead: some of the addresses that it names instead.
    """

    named: bool
    instead: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class HandshakeRecord:
    """A handshake of one user in one mode at one place.

    Attributes:
        place: "published", or the replica's name.
        user: whose secret it was made with.
        mode: "classic", "secure" or "tls".
        tried: how far it got.
        error: why it was not tried.
        seen_as: published: address:port that HAProxy sees as the client.
        server: published: the replica that HAProxy gave it to.
        arrived: whether the replica names our address while the user is connected; None where that
            was not asked for.
        again: replica: a second try, for the first failure there.
        counted: replica: by how much its counters grew during the second try, and the user's gauges
            before it; None without a second try.
        most: replica: how many connections the user may have there, where it has a limit.
        without_header: replica: a try without a PROXY header.
        with_header: published: a try with a PROXY header from the client itself.
    """

    place: str
    user: str
    mode: str
    tried: Tried = field(default_factory=Tried)
    error: str = ""
    seen_as: str = ""
    server: str = ""
    arrived: Reading[Arrived] | None = None
    again: Tried | None = None
    counted: Reading[dict[str, float]] | None = None
    most: int | None = None
    without_header: Tried | None = None
    with_header: Tried | None = None


@dataclass(frozen=True, slots=True)
class Handshakes:
    """All handshakes of a run.

    Attributes:
        records: one for each handshake.
        users: by replica, then by user: how the replica's secret compares with the request's:
            "same", "other" or "none"; or why the replica's files cannot be read.
    """

    records: tuple[HandshakeRecord, ...]
    users: dict[str, Reading[dict[str, str]]]


@dataclass(frozen=True, slots=True)
class Answer:
    """The whole answer.

    Attributes:
        version: VERSION.
        request: what was asked; the secrets of users are left out.
        began: seconds since the epoch when the run began.
        host: the machine.
        targets: by name, "haproxy" and "telemt-N"; empty before a stack is started.
        clients: the connections that the collector made; an error where none could be made.
        handshakes: an error where none could be made; None where none were asked for.
        timing: milliseconds of each step; "all" is the whole run.
    """

    version: int
    request: Request
    began: float
    host: Reading[Host]
    targets: dict[str, Reading[Target]]
    clients: Reading[tuple[Connection, ...]]
    handshakes: Reading[Handshakes] | None
    timing: dict[str, float]
