"""The request to the collector: the types that stackctl fills in and the collector reads."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class HaproxyTarget:
    """The HAProxy container.

    Attributes:
        name: target name, "haproxy".
        pid: its first process, as the engine's host counts.
        container: full container id.
        port: the client port inside its network namespace.
        sysctls: keys to read in its network namespace.
        frontend: the frontend that clients reach.
        backend: the backend of the replicas; its servers carry the replicas' target names.
        admin_socket: admin socket in the container.
        config: configuration file in the container.
    """

    name: str
    pid: int
    container: str
    port: int
    sysctls: tuple[str, ...] = ()
    frontend: str = "clients"
    backend: str = "telemt"
    admin_socket: str = "/run/haproxy/admin.sock"
    config: str = "/usr/local/etc/haproxy/haproxy.cfg"


@dataclass(frozen=True, slots=True)
class ReplicaTarget:
    """A Telemt container.

    Attributes:
        name: target name, "telemt-N".
        pid: its first process, as the engine's host counts.
        container: full container id.
        api: address and port of its API, as reached from its own network namespace.
        metrics: address and port of its metrics, likewise.
        users: file in the container with the secrets of the API and of the users.
        sysctls: keys to read in its network namespace.
        socket: path in the container of the unix socket it listens on; empty with TCP links.
        address: address and first port that it listens on; None with unix links.
        ports: on how many ports it listens, from the first.
        config: configuration file in the container.
    """

    name: str
    pid: int
    container: str
    api: tuple[str, int]
    metrics: tuple[str, int]
    users: str
    sysctls: tuple[str, ...] = ()
    socket: str = ""
    address: tuple[str, int] | None = None
    ports: int = 1
    config: str = "/etc/telemt/telemt.toml"


@dataclass(frozen=True, slots=True)
class ClientsAsked:
    """Connections that the collector makes.

    Attributes:
        published: where clients reach the stack from the host; None for no connection.
        inside: HAProxy's client listener in its own network namespace; None for no connection. On
            127.0.0.0/8 the collector varies its source address until every replica has one.
    """

    published: tuple[str, int] | None = None
    inside: tuple[str, int] | None = None


@dataclass(frozen=True, slots=True)
class Way:
    """How HAProxy reaches a replica.

    Attributes:
        socket: path of a unix socket in HAProxy's container; empty with TCP links.
        address: address and port in HAProxy's network namespace; None with unix links.
    """

    socket: str = ""
    address: tuple[str, int] | None = None


@dataclass(frozen=True, slots=True)
class HandshakesAsked:
    """Handshakes that the collector makes as a client: every user and mode at every place.

    Attributes:
        users: user name → secret, 32 hex digits. Never shown by repr, and empty in an answer.
        modes: "classic", "secure", "tls".
        domain: the site that mode tls pretends to talk to.
        published: where clients reach the stack from the host; None for no handshake there.
        ways: replica → how HAProxy reaches it.
        arrivals: ask also each replica whether the client's own address reached it.
        each: seconds that one handshake may take.
        seconds: seconds that all of them together may take.
        dc: number of the data centre asked for.
    """

    users: dict[str, str] = field(repr=False)
    modes: tuple[str, ...]
    domain: str
    published: tuple[str, int] | None
    ways: dict[str, Way]
    arrivals: bool = False
    each: float = 3.0
    seconds: float = 10.0
    dc: int = 2


@dataclass(frozen=True, slots=True)
class Request:
    """The whole request.

    Attributes:
        version: `answer.VERSION`.
        sysctls: keys to read in the host's namespaces.
        connections: the stack's connections. HAProxy may have to list as many, which takes time.
        haproxy: None where no stack runs; the host is still read.
        replicas: those that run.
        clients: None to make no connections; they need HAProxy.
        handshakes: None to make none; they need HAProxy.
        counters: read also the kernel's counters in each namespace, descriptors and memory of each
            container, and each replica's counters of refusals.
    """

    version: int
    sysctls: tuple[str, ...]
    connections: int = 0
    haproxy: HaproxyTarget | None = None
    replicas: tuple[ReplicaTarget, ...] = ()
    clients: ClientsAsked | None = None
    handshakes: HandshakesAsked | None = None
    counters: bool = False
