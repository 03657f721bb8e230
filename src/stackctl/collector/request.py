"""What the collector is asked: the types that stackctl fills in and the collector reads."""

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
        users: file in the container with the API's secret and the users'.
        sysctls: keys to read in its network namespace.
        socket: path in the container of the unix socket it listens on; empty with TCP links.
        address: address and first port it listens on; None with unix links.
        ports: how many ports it listens on from there.
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
    """Connections the collector makes.

    Attributes:
        published: where clients reach the stack, from the host; None for none.
        inside: HAProxy's client listener as reached from its own network namespace; None for none.
            On 127.0.0.0/8 the collector varies its source until every replica has a connection.
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
    """Handshakes the collector makes as a client would: every user and mode at every place.

    Attributes:
        users: user name → secret, 32 hex digits. Never shown by repr, and empty in an answer.
        modes: "classic", "secure", "tls".
        domain: the site that mode tls pretends to talk to.
        published: where clients reach the stack, from the host; None for not at all.
        ways: replica → how HAProxy reaches it.
        arrivals: also ask each replica whether the client's own address came to it.
        each: seconds one handshake may take.
        seconds: all of them together.
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
        connections: the stack's number. HAProxy may have to tell of as many, which takes its time.
        haproxy: None where no stack runs; the host is read all the same.
        replicas: those that run.
        clients: None where no connection is to be made; they need HAProxy.
        handshakes: None where none is to be made; they need HAProxy.
        counters: also read what the kernel counts in each namespace, descriptors and memory of each
            container, and what each replica has refused.
    """

    version: int
    sysctls: tuple[str, ...]
    connections: int = 0
    haproxy: HaproxyTarget | None = None
    replicas: tuple[ReplicaTarget, ...] = ()
    clients: ClientsAsked | None = None
    handshakes: HandshakesAsked | None = None
    counters: bool = False
