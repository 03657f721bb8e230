"""The shape of the probe's answer (version 1). images/probe/stackprobe fills it in.

A reading is always one of `{"text": ...}`, `{"value": ...}`, `{"error": "ENOENT: ..."}`, mostly
with the "path" it came from. An error is never replaced by a default.
"""

from __future__ import annotations

from typing import Any, NotRequired, TypedDict

VERSION = 1
"""Version of request and response that this stackctl speaks."""


class Reading(TypedDict):
    """One raw value: exactly one of text, value and error."""

    text: NotRequired[str]
    value: NotRequired[Any]
    error: NotRequired[str]
    path: NotRequired[str]


class PidsCgroup(TypedDict):
    """A process's pids cgroup. The root of the hierarchy has no limit and reads "max"."""

    path: NotRequired[str]
    ancestors: list[Reading]
    # "pids.max" and "pids.current": Reading


class Daemon(TypedDict):
    """The process that starts containers ("starter"), or an engine daemon found by name."""

    pid: int
    comm: str
    parent: int
    limits: Reading
    """Text of /proc/PID/limits."""
    status: Reading
    """Lines Uid, Gid, Groups, CapEff, NoNewPrivs, Seccomp, NSpid of /proc/PID/status."""
    user_namespace: Reading
    """`user:[4026531837]` in the first user namespace."""
    cgroup: dict[str, Any]
    """PidsCgroup."""


class Dockerd(Daemon):
    """An engine daemon; what it was told is known of dockerd alone."""

    flags: NotRequired[Reading]
    """Its arguments that say something about proxies, limits and firewall rules."""
    file: NotRequired[Reading]
    """The keys of its daemon.json that do the same; ENOENT where it has none."""
    netns: NotRequired[Reading]
    """Its network namespace. The probe is in that of the engine that started it."""


class Proxy(TypedDict):
    """A docker-proxy process: it takes connections that the engine's firewall rules do not."""

    pid: int
    parent: int
    arguments: Reading
    """Its argument list, `-host-port 8443` among them."""
    netns: Reading
    """Its network namespace; an engine on this machine that is not ours may have another."""


class Engine(TypedDict):
    """The parent of the probe's own process, and every dockerd and containerd there is."""

    starter: Daemon
    daemons: list[Dockerd]
    proxies: list[Proxy]


class Card(TypedDict):
    """A network card; those with a default route come first."""

    name: str
    up: bool
    default_route: bool
    addresses: list[str]
    """`192.0.2.2/24`."""
    qdiscs: list[dict[str, Any]]
    """kind, handle, parent; the root's parent is 0xffffffff."""


class Facts(TypedDict):
    """The host, read in the host's own network namespace."""

    kernel: str
    machine: str
    cpus: int
    memory: Reading
    """MemTotal in bytes."""
    memory_available: Reading
    """MemAvailable in bytes."""
    boot_id: Reading
    netns: str
    sysctls: dict[str, Reading]
    congestion: dict[str, Reading]
    """"available" and "allowed" congestion controls."""
    fresh: dict[str, Reading]
    listening: Reading
    """[address, port] of each TCP listener."""
    tracking: dict[str, Reading]
    """"ipv4" and "ipv6": 1 where a connection the probe made on loopback is in the host's conntrack
    table, 0 where it is not, ENOPROTOOPT where the kernel has no table; "count": text of
    nf_conntrack_count."""
    clock: dict[str, Reading]
    """"kernel": state, status and, in microseconds, offset, maxerror and esterror of adjtimex(2);
    "keepers": names of the time daemons that run."""
    cgroups: Reading
    """The engine's mountinfo, the lines of control group hierarchies."""
    security: dict[str, Reading]
    """"lsm", "apparmor" (Y or N), "selinux" (1 enforces), "label" of the probe; "parser": paths of
    apparmor_parser."""
    unsaid: Reading
    """/proc/PID/limits of the probe, whose container is started with no limit said."""
    nics: list[Card]
    engine: Engine
    login: list[Reading]
    """limits.conf and limits.d/*.conf in the order PAM reads them."""


class Process(TypedDict):
    """The live process of a target; for HAProxy its newest worker."""

    pid: int
    comm: str
    ticks: int
    """Start time in clock ticks after boot."""
    started: float
    """The same as seconds since the epoch, good to 10 ms."""
    older: list[dict[str, Any]]
    """Workers of before a reload that still finish their sessions: pid, started."""
    limits: Reading
    status: Reading
    first: dict[str, Any]
    """The container's first process: pid, limits. HAProxy's worker forbids itself to fork."""


class Listener(TypedDict):
    """A listening socket of the target's namespace; TCP has address and port, unix has path."""

    address: NotRequired[str]
    port: NotRequired[int]
    path: NotRequired[str]
    """As bound: HAProxy binds `NAME.tmp` and renames it."""
    backlog: int
    queue: int
    inode: int
    owners: NotRequired[list[int]]
    """Processes of this target's own container that hold it; for the listener asked about."""


class Target(TypedDict):
    """One container of the stack; "error" stands alone where it could not be read."""

    role: str
    name: str
    error: NotRequired[str]
    process: NotRequired[Process]
    cgroup: NotRequired[dict[str, Any]]
    """PidsCgroup."""
    config: NotRequired[dict[str, Any]]
    """Reading, with mtime and ctime in seconds since the epoch."""
    netns: NotRequired[Reading]
    sysctls: NotRequired[dict[str, Reading]]
    fresh: NotRequired[dict[str, Reading]]
    """Of sockets just made there: congestion, rcvbuf, sndbuf, keepidle, keepintvl, keepcnt,
    linger2, backlog, ports [lowest, highest of 32], udp_rcvbuf, udp_sndbuf, rcvbuf_max,
    sndbuf_max."""
    listeners: NotRequired[dict[str, Any]]
    """tcp and unix: lists of Listener; errors: list of text."""
    admin: NotRequired[dict[str, Reading]]
    """HAProxy: "show info", "show stat", "show pools"."""
    api: NotRequired[dict[str, dict[str, Any]]]
    """Telemt: by path, status and body, or error; "from" is the URL."""
    beobachten: NotRequired[dict[str, str]]
    """Telemt, where connections were made: its page of failed handshakes "before" and "after" them,
    without the lines that stand in both; or error. "from" is the URL."""
    ms: float


class Connection(TypedDict):
    """A connection the probe made and held open while it looked."""

    via: str
    """"published" (from the host) or "inside" (from HAProxy's own namespace)."""
    local: str
    """address:port of the probe's end."""
    remote: str
    error: NotRequired[str]
    sent: NotRequired[int]
    recognised_by: NotRequired[str]
    """How HAProxy's session was found where the address was rewritten on the way."""
    seen_as: NotRequired[str]
    """address:port that HAProxy sees as the client."""
    server: NotRequired[str]
    session: NotRequired[dict[str, str]]
    """line (`show sess`), id, and text (`show sess ID`) or error."""
    sockets: NotRequired[dict[str, dict[str, Any]]]
    """"client" and "server", HAProxy's two live sockets: link ("tcp" or "unix"), peer, and
    readings keepalive, keepidle, keepintvl, keepcnt, congestion, rcvbuf, sndbuf, user_timeout and
    buffers_asked (bit 1: the send buffer does not autotune, bit 2: the receive buffer); of a unix
    socket the buffers alone; or error."""


class Step(TypedDict):
    """A hop that was passed: "connect", "proxy", "tls", "answer"."""

    hop: str
    ms: float


class Trial(TypedDict):
    """One connection of a handshake and how far it came; "failure" is missing where it is whole."""

    steps: list[Step]
    failure: NotRequired[dict[str, str]]
    """hop, cause (a stable word) and detail (a sentence)."""
    local: NotRequired[str]
    """address:port of the probe's end, on TCP."""
    client: NotRequired[str]
    """address:port of the client that its PROXY header named."""


class Handshake(Trial):
    """A handshake of one user in one mode at one place."""

    place: str
    """"published", or the replica's name."""
    user: str
    mode: str
    error: NotRequired[str]
    """Why it was not even tried."""
    seen_as: NotRequired[str]
    """Published: address:port that HAProxy sees as the client."""
    server: NotRequired[str]
    """Published: the replica that HAProxy gave it."""
    session: NotRequired[Reading]
    """Published: the error, where HAProxy did not say so."""
    arrived: NotRequired[dict[str, Any]]
    """Value 1 where the replica names our address among those the user is connected from, while
    it was; 0 with "instead", some that it names; or error."""
    again: NotRequired[Trial]
    """Replica: the same once more, the first time one failed there."""
    counted: NotRequired[dict[str, Any]]
    """Replica: by how much its counters grew meanwhile, and the user's gauges before; or error."""
    most: NotRequired[int]
    """Replica: connections the user may have there, where the replica was told a limit."""
    without_header: NotRequired[Trial]
    """Replica: the same with no PROXY header."""
    with_header: NotRequired[Trial]
    """Published: the same with a PROXY header of the client's own."""


class Handshakes(TypedDict):
    """All handshakes; "error" stands alone where none could be made."""

    error: NotRequired[str]
    records: list[Handshake]
    users: dict[str, dict[str, str]]
    """By replica and user: how the secret it runs with compares with the one asked with: "same",
    "other" or "none"; or "error"."""


class Response(TypedDict):
    """The whole answer; "error" stands alone where the request was refused."""

    version: int
    error: NotRequired[str]
    request: dict[str, Any]
    began: float
    """Seconds since the epoch when the run began."""
    facts: Facts
    targets: dict[str, Target]
    clients: list[Connection]
    client_error: str
    handshakes: Handshakes | None
    """None where none were asked for. In `request` their users stand without their secrets."""
    timing: dict[str, float]
    """Milliseconds of each step; "all" is the whole run."""
