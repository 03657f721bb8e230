"""From what a stack is granted to the connections that it holds: every ceiling, the lowest first.

A budget is a number of things of one kind (descriptors, ports, entries, bytes) in one place, and a
client takes a known number of them. That is the whole model: `(size - own) // each`, times the
places that share the clients. All functions are pure.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from stackctl.limits.targets import DATACENTRE, HAPROXY, HOST, TELEMT
from stackctl.plan.sizes import CONNTRACK_ENTRIES, HAPROXY_CHARGED_BYTES, SKEW

LINK = "haproxy/telemt"
OUTWARD = "telemt/datacentre"

PORTS = "net.ipv4.ip_local_port_range"
TABLE_SIZE = "net.netfilter.nf_conntrack_max"
MEMORY = "memory"
"""The machine's memory, which is not a row of the limits table."""

FILES_EACH = 4
"""Open files of the machine for one client: two in HAProxy, two in Telemt."""


@dataclass(frozen=True, slots=True)
class Granted:
    """What a stack is granted, in numbers; None is no limit, or one that is not known.

    Attributes:
        network: "bridge" or "host".
        link: "unix" or "tcp".
        replicas: how many share the clients.
        even: whether clients go to the emptiest replica; otherwise a hash of their address decides.
        middle_proxy: whether Telemt goes through middle proxies, whose connections many clients
            share.
        lab: whether the data centre is the lab's: one address and port for all replicas.
        frontend_maxconn: maxconn of HAProxy's client frontend.
        global_maxconn: maxconn of HAProxy's process, with `haproxy_own_connections` for health
            checks and metrics.
        server_maxconn: HAProxy's maxconn for one replica.
        max_connections: Telemt's own cap in one replica.
        haproxy_nofile: HAProxy's soft limit on descriptors, as planned.
        haproxy_own: descriptors that HAProxy needs without any client.
        telemt_nofile: one replica's soft limit on descriptors, which Telemt never raises.
        telemt_own: descriptors that a replica needs without any client.
        link_ports: source ports from HAProxy towards one replica.
        outward_ports: source ports towards the lab's data centre in one network namespace.
        conntrack_max: entries that each namespace's conntrack table may have.
        conntrack_used: entries that are in the host's table already.
        tracked: whether the host's own connections are tracked; a bridge's always are.
        file_max: open files of the whole machine.
        memory: bytes of the machine that connections may take.
        client_bytes: bytes the machine spends on an idle client.
        haproxy_memory: bytes that clients may take in HAProxy's container; a plan sets no such
            limit.
    """

    network: str
    link: str
    replicas: int
    even: bool
    middle_proxy: bool
    lab: bool
    frontend_maxconn: int
    global_maxconn: int
    haproxy_own_connections: int
    server_maxconn: int
    max_connections: int
    haproxy_nofile: int | None
    haproxy_own: int
    telemt_nofile: int | None
    telemt_own: int
    link_ports: int
    outward_ports: int
    conntrack_max: int | None
    conntrack_used: int
    tracked: bool
    file_max: int | None
    memory: int | None
    client_bytes: int
    haproxy_memory: int | None = None


@dataclass(frozen=True, slots=True)
class Budget:
    """Things of one kind in one place.

    Attributes:
        limit: key of the limits table, or "memory".
        where: the place; "telemt" is each replica, "haproxy/telemt" each link.
        size: how many there are.
        own: how many of them are taken without any client.
        each: how many a client takes, 1 or more.
        places: how many such places share the clients evenly, 1 or more.
        cause: what happens to the first client for which none is left.
    """

    limit: str
    where: str
    size: int
    each: int
    cause: str
    own: int = 0
    places: int = 1

    @property
    def holds(self) -> int:
        """Clients that one place holds."""
        return max(0, self.size - self.own) // self.each


@dataclass(frozen=True, slots=True)
class Ceiling:
    """How many connections one limit allows.

    Attributes:
        limit: key of the limits table, or "memory".
        where: "host", "haproxy", "telemt" (each replica), "haproxy/telemt" (each link),
            "telemt/datacentre" or "datacentre".
        holds: clients that the whole stack holds; the next one does not get in.
        least: the same in the worst case, where the hash of addresses gives one replica more than
            its share.
        cause: what happens to the next client.
    """

    limit: str
    where: str
    holds: int
    least: int
    cause: str


def predict(granted: Granted) -> tuple[Ceiling, ...]:
    """Every ceiling of a stack, the lowest first.

    They count idle clients that are held, not how fast clients may connect (the backlogs limit
    that). Bounds on one address or user (`per_address`, `per_user`) do not bound the whole stack.
    """
    found = [ceiling(budget, even=granted.even) for budget in budgets(granted)]
    return tuple(sorted(found, key=lambda c: (c.holds, c.least)))


def ceiling(budget: Budget, *, even: bool) -> Ceiling:
    """The ceiling of a budget.

    Args:
        budget: the budget.
        even: whether its places share the clients evenly; otherwise one has up to SKEW times its
            share.
    """
    one, all_of_them = budget.holds, budget.holds * budget.places
    least = all_of_them if even else max(one, int(all_of_them / SKEW))
    return Ceiling(budget.limit, budget.where, all_of_them, min(least, all_of_them), budget.cause)


def budgets(g: Granted) -> tuple[Budget, ...]:
    """Every budget that a client takes from, in the order of its path through the stack."""
    return tuple(
        budget for part in (_haproxy(g), _replica(g), _ports(g), _machine(g)) for budget in part
    )


def _haproxy(g: Granted) -> Iterator[Budget]:
    yield Budget(
        "haproxy.frontend_maxconn",
        HAPROXY,
        g.frontend_maxconn,
        1,
        "HAProxy accepts no more: the client waits in the accept queue, connected and unanswered",
    )
    yield Budget(
        "haproxy.maxconn",
        HAPROXY,
        g.global_maxconn,
        1,
        "HAProxy accepts no more on any listener, not even for its health page and metrics",
        own=g.haproxy_own_connections,
    )
    if g.haproxy_nofile is not None:
        yield Budget(
            "nofile",
            HAPROXY,
            g.haproxy_nofile,
            2,
            "HAProxy does not start with a larger maxconn",
            own=g.haproxy_own,
        )
    yield Budget(
        "haproxy.server_maxconn",
        LINK,
        g.server_maxconn,
        1,
        "the client waits in HAProxy's queue for `timeout connect` and is then closed",
        places=g.replicas,
    )

    if g.haproxy_memory is not None:
        yield Budget(
            MEMORY,
            HAPROXY,
            g.haproxy_memory,
            HAPROXY_CHARGED_BYTES[g.link],
            "the kernel kills HAProxy (out of memory), and every client with it",
        )


def _replica(g: Granted) -> Iterator[Budget]:
    yield Budget(
        "telemt.max_connections",
        TELEMT,
        g.max_connections,
        1,
        "Telemt keeps the client waiting for a permit (250 ms), then closes it",
        places=g.replicas,
    )
    if g.telemt_nofile is not None:
        yield Budget(
            "nofile",
            TELEMT,
            g.telemt_nofile,
            1 if g.middle_proxy else 2,
            "Telemt cannot accept the client, or cannot reach the data centre for it (EMFILE): the "
            "client gets no answer, or is closed",
            own=g.telemt_own,
            places=g.replicas,
        )


def _ports(g: Granted) -> Iterator[Budget]:
    if g.link == "tcp":
        yield Budget(
            PORTS,
            LINK,
            g.link_ports,
            1,
            "HAProxy has no source port left towards the replica, and closes the client",
            places=g.replicas,
        )
    if g.lab and not g.middle_proxy:
        yield Budget(
            PORTS,
            OUTWARD,
            g.outward_ports,
            1,
            "Telemt has no source port left towards the lab's data centre, and closes the client",
            # On the host's network all replicas have one address, and one range.
            places=g.replicas if g.network == "bridge" else 1,
        )


def conntrack_each(network: str, link: str, *, middle_proxy: bool) -> dict[str, int]:
    """Conntrack entries of a client in each namespace; in a replica's, of its own clients."""
    entries = CONNTRACK_ENTRIES[(network, link)]
    if not middle_proxy:
        return entries
    # All namespaces but HAProxy's see the leg to the data centre.
    return {where: n if where == HAPROXY else n - 1 for where, n in entries.items()}


def _machine(g: Granted) -> Iterator[Budget]:
    if g.conntrack_max is not None and (g.tracked or g.network == "bridge"):
        each = conntrack_each(g.network, g.link, middle_proxy=g.middle_proxy)
        if g.network == "bridge" and g.lab:
            each = {**each, DATACENTRE: 1}
        for where, entries in each.items():
            if entries:
                yield Budget(
                    TABLE_SIZE,
                    where,
                    g.conntrack_max,
                    entries,
                    "the kernel drops the client's first packet, so connect() hangs: the client's, "
                    "or one behind HAProxy",
                    own=g.conntrack_used if where == HOST else 0,
                    places=g.replicas if where == TELEMT else 1,
                )
    if g.file_max is not None:
        yield Budget(
            "fs.file-max",
            HOST,
            g.file_max,
            FILES_EACH,
            "accept() and socket() fail with ENFILE, on the whole machine",
        )
    if g.memory is not None:
        yield Budget(
            MEMORY,
            HOST,
            g.memory,
            g.client_bytes,
            "the kernel kills a process (out of memory), and all of its clients with it",
        )


def first(ceilings: Iterable[Ceiling]) -> Ceiling:
    """The lowest ceiling.

    Raises:
        ValueError: there is none.
    """
    return min(ceilings, key=lambda c: (c.holds, c.least))
