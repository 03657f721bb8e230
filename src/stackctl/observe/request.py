"""The request to the collector: from a stack's file and its containers. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from ipaddress import IPv4Network

from stackctl.collector.answer import VERSION
from stackctl.collector.request import (
    ClientsAsked,
    HandshakesAsked,
    HaproxyTarget,
    ReplicaTarget,
    Request,
    Way,
)
from stackctl.engine import Container
from stackctl.limits import TABLE, Reader, Role
from stackctl.limits.targets import HAPROXY
from stackctl.plan.address import GATEWAY_HOST, replicas_in, subnet_of
from stackctl.plan.links import link_ports
from stackctl.plan.ports import (
    API_PORT,
    METRICS_PORT,
    SOCKET_PATH,
    TELEMT_PORT,
    USERS_PATH,
)
from stackctl.spec import Stack

AT_ONCE = 32
"""At how many places the collector shakes hands at once."""

EACH = 3.0
"""Seconds for one handshake; a healthy stack takes hundredths of a second."""

ALSO_COUNTED = ("net.ipv4.tcp_max_orphans", "net.ipv4.tcp_mem")
"""Limits of the kernel's counters that are not rows of the limits table."""

ANY = ("0.0.0.0", "::", "")  # noqa: S104


@dataclass(frozen=True, slots=True)
class Choice:
    """Which handshakes the collector makes.

    Attributes:
        users: user name → secret. Never shown by repr.
        replicas: names; None for all that run.
        published: make them through the published address, too.
        arrivals: check also that the client's own address reaches the replica.
        seconds: time for all of them together.
    """

    users: Mapping[str, str] = field(repr=False)
    replicas: Sequence[str] | None = None
    published: bool = True
    arrivals: bool = False
    seconds: float = 10.0


def request_of(
    stack: Stack,
    running: Sequence[Container],
    clients: ClientsAsked | None = None,
    handshakes: HandshakesAsked | None = None,
    counters: bool = False,
) -> Request:
    """The request.

    Args:
        stack: its file.
        running: its running containers; without HAProxy no connection can be asked for.
        clients: connections to make; None for none.
        handshakes: handshakes to make; None for none.
        counters: ask also for the kernel's counters in each namespace and replicas' refusals.
    """
    haproxy = next((c for c in running if c.target == HAPROXY), None)
    return Request(
        version=VERSION,
        # With `network: host` the containers share the host's namespace, so it gets every key.
        sysctls=(*sysctl_keys(*Role), *(ALSO_COUNTED if counters else ())),
        connections=stack.connections,
        haproxy=None if haproxy is None else _haproxy(stack, haproxy),
        replicas=_replicas(stack, [c for c in running if c.is_replica]),
        clients=clients if haproxy else None,
        handshakes=handshakes if haproxy else None,
        counters=counters,
    )


def sysctl_keys(*roles: Role) -> tuple[str, ...]:
    """Keys that the limits table reads on any of these roles, in its order."""
    return tuple(
        dict.fromkeys(
            read.arg
            for limit in TABLE.values()
            if any(role in limit.on for role in roles)
            for read in limit.reads
            if read.reader is Reader.SYSCTL
        )
    )


def _haproxy(stack: Stack, container: Container) -> HaproxyTarget:
    return HaproxyTarget(
        name=HAPROXY,
        pid=container.pid,
        container=container.id,
        port=stack.listen.port,
        sysctls=sysctl_keys(Role.HAPROXY),
    )


def _replicas(stack: Stack, running: Sequence[Container]) -> tuple[ReplicaTarget, ...]:
    on_host = stack.network == "host"
    own = {r.name: r.address for r in replicas_in(subnet_of(stack, None), stack.replicas)}
    found = []
    for container in running:
        inside = own.get(container.target, "127.0.0.1") if on_host else "127.0.0.1"
        bound = inside if on_host else ANY[0]
        found.append(
            ReplicaTarget(
                name=container.target,
                pid=container.pid,
                container=container.id,
                api=(inside, API_PORT),
                metrics=(inside, METRICS_PORT),
                users=USERS_PATH,
                sysctls=sysctl_keys(Role.TELEMT),
                socket=SOCKET_PATH if stack.link == "unix" else "",
                address=None if stack.link == "unix" else (bound, TELEMT_PORT),
                ports=link_ports(stack),
            )
        )
    return tuple(found)


def clients_of(stack: Stack, own: Sequence[str]) -> ClientsAsked:
    """Where the collector's connections go.

    On a bridge the published address is used on the stack's own gateway. On loopback the engine's
    userland proxy would answer, and HAProxy would see the proxy's address.

    Args:
        stack: its file.
        own: IPv4 subnets of the stack's own network; none on the host's network.
    """
    host, port = stack.listen.host, stack.listen.port
    loopback = host if host and host not in ANY and ":" not in host else "127.0.0.1"
    if stack.network == "host":
        return ClientsAsked(published=(loopback, port), inside=(loopback, port))
    published = host
    if not host or host in ANY:
        published = str(IPv4Network(own[0])[GATEWAY_HOST]) if own else "127.0.0.1"
    return ClientsAsked(published=(published, port), inside=("127.0.0.1", port))


def handshakes_of(
    stack: Stack,
    choice: Choice,
    published: tuple[str, int] | None,
    running: Sequence[Container],
    own: Sequence[str],
) -> HandshakesAsked:
    """The handshakes of a choice.

    Args:
        stack: its file.
        choice: what is wanted.
        published: where clients reach the stack, from the host.
        running: its containers that run.
        own: IPv4 subnets of the stack's own network; none on the host's network.
    """
    subnet = IPv4Network(own[0]) if own else subnet_of(stack, None)
    addresses = {r.name: r.address for r in replicas_in(subnet, stack.replicas)}
    names = [
        container.target
        for container in running
        if container.is_replica and (choice.replicas is None or container.target in choice.replicas)
    ]
    return HandshakesAsked(
        users=dict(choice.users),
        modes=tuple(stack.telemt.modes),
        domain=stack.telemt.domain,
        published=published if choice.published else None,
        ways={
            name: Way(socket=f"/run/telemt/{name}/telemt.sock")
            if stack.link == "unix"
            else Way(address=(addresses.get(name, "127.0.0.1"), TELEMT_PORT))
            for name in names
        },
        arrivals=choice.arrivals,
        each=EACH,
        seconds=choice.seconds,
    )
