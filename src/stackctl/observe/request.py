"""What the probe is asked: built from the containers of a stack and THE TABLE. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from stackctl.limits import TABLE, Reader, Role
from stackctl.observe.response import VERSION
from stackctl.plan.ports import USERS_PATH


@dataclass(frozen=True, slots=True)
class ProbeHaproxy:
    """The HAProxy container.

    Attributes:
        pid: its first process, as the engine's host counts.
        container: full container id.
        port: the client port inside its network namespace.
        name: target name.
        frontend: the frontend that clients reach.
        backend: the backend of the replicas; its servers carry the replicas' target names.
        admin_socket: admin socket in the container.
        config: configuration file in the container.
    """

    pid: int
    container: str
    port: int
    name: str = "haproxy"
    frontend: str = "clients"
    backend: str = "telemt"
    admin_socket: str = "/run/haproxy/admin.sock"
    config: str = "/usr/local/etc/haproxy/haproxy.cfg"


@dataclass(frozen=True, slots=True)
class ProbeReplica:
    """A Telemt container.

    Attributes:
        name: target name, "telemt-N".
        pid: its first process, as the engine's host counts.
        container: full container id.
        api: address and port of its API, as reached from its own network namespace.
        metrics: address and port of its metrics, likewise.
        listener: path of its unix socket in the container, or (address, first port).
        ports: how many ports it listens on from there.
        config: configuration file in the container.
        users: file in the container with the API's secret and the users'.
        counters: also read what it has refused, of its metrics.
    """

    name: str
    pid: int
    container: str
    api: tuple[str, int]
    metrics: tuple[str, int]
    listener: str | tuple[str, int]
    config: str = "/etc/telemt/telemt.toml"
    users: str = USERS_PATH
    counters: bool = False
    ports: int = 1


@dataclass(frozen=True, slots=True)
class ProbeClients:
    """Connections the probe makes.

    Attributes:
        published: where clients reach the stack, from the host; None for none.
        inside: HAProxy's client listener as reached from its own network namespace; None for
            none. On 127.0.0.0/8 the probe varies its source until every replica has a connection.
    """

    published: tuple[str, int] | None = None
    inside: tuple[str, int] | None = None


@dataclass(frozen=True, slots=True)
class ProbeHandshakes:
    """Handshakes the probe makes as a client would: every user in every mode at every place.

    Attributes:
        users: user name → secret, 32 hex digits. Never shown by repr.
        modes: "classic", "secure", "tls".
        domain: the site that mode tls pretends to talk to.
        published: where clients reach the stack, from the host; None for not at all.
        links: replica → how HAProxy reaches it: the path of a unix socket in HAProxy's container,
            or (address, port) in its network namespace.
        arrivals: also ask each replica whether the client's own address came to it.
        each: seconds one handshake may take.
        seconds: all of them together.
        dc: number of the data centre asked for.
    """

    users: Mapping[str, str] = field(repr=False)
    modes: Sequence[str]
    domain: str
    published: tuple[str, int] | None
    links: Mapping[str, str | tuple[str, int]]
    arrivals: bool = False
    each: float = 3.0
    seconds: float = 10.0
    dc: int = 2


def probe_request(
    haproxy: ProbeHaproxy | None = None,
    replicas: Sequence[ProbeReplica] = (),
    clients: ProbeClients | None = None,
    also: Sequence[str] = (),
    handshakes: ProbeHandshakes | None = None,
    connections: int = 0,
) -> dict[str, Any]:
    """The request as a JSON object.

    Args:
        haproxy: left out where no stack runs; the host's facts are read all the same.
        replicas: the replicas that run.
        clients: left out where no connection is to be made; they need HAProxy.
        also: sysctl keys of the host beyond THE TABLE's.
        handshakes: left out where none is to be made; they need HAProxy.
        connections: the stack's number. HAProxy may have to tell of as many, which takes its time.
    """
    targets = [_replica(replica) for replica in replicas]
    if haproxy is not None:
        targets.insert(0, _haproxy(haproxy))
    # In host mode a namespace's limits are the host's own: the host is asked for every key.
    keys = dict.fromkeys((*sysctl_keys(*Role), *also))
    wanted = clients if haproxy is not None else None
    return {
        "version": VERSION,
        "host": {"sysctls": list(keys)},
        "connections": connections,
        "targets": targets,
        "client": None
        if wanted is None
        else {
            "published": list(wanted.published) if wanted.published else None,
            "inside": list(wanted.inside) if wanted.inside else None,
        },
        "handshakes": None if haproxy is None or handshakes is None else _handshakes(handshakes),
    }


def sysctl_keys(*roles: Role) -> tuple[str, ...]:
    """Keys that THE TABLE reads on any of these roles, in its order."""
    return tuple(
        dict.fromkeys(
            read.arg
            for limit in TABLE.values()
            if any(role in limit.on for role in roles)
            for read in limit.reads
            if read.reader is Reader.SYSCTL
        )
    )


def _haproxy(target: ProbeHaproxy) -> dict[str, Any]:
    return {
        "name": target.name,
        "role": "haproxy",
        "pid": target.pid,
        "container": target.container,
        "sysctls": list(sysctl_keys(Role.HAPROXY)),
        "admin_socket": target.admin_socket,
        "config": target.config,
        "port": target.port,
        "frontend": target.frontend,
        "backend": target.backend,
    }


def _replica(target: ProbeReplica) -> dict[str, Any]:
    unix = isinstance(target.listener, str)
    return {
        "name": target.name,
        "role": "telemt",
        "pid": target.pid,
        "container": target.container,
        "sysctls": list(sysctl_keys(Role.TELEMT)),
        "config": target.config,
        "users": target.users,
        "counters": target.counters,
        "api": list(target.api),
        "metrics": list(target.metrics),
        "listener": {"unix": target.listener}
        if unix
        else {"tcp": list(target.listener), "ports": target.ports},
    }


def _handshakes(asked: ProbeHandshakes) -> dict[str, Any]:
    return {
        "users": dict(asked.users),
        "modes": list(asked.modes),
        "domain": asked.domain,
        "published": list(asked.published) if asked.published else None,
        "links": {
            name: {"unix": link} if isinstance(link, str) else {"tcp": list(link)}
            for name, link in asked.links.items()
        },
        "arrivals": asked.arrivals,
        "each": asked.each,
        "seconds": asked.seconds,
        "dc": asked.dc,
    }
