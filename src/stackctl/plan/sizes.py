"""From `connections` to descriptors, ports, conntrack entries and memory.

Every constant says where it comes from. All functions are pure.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil

from stackctl.limits.targets import HAPROXY, HOST, TELEMT

ADMIN_RESERVE = 64
"""Connections of HAProxy beyond the clients', for its own health page and for metrics."""

HAPROXY_FIXED_DESCRIPTORS = 20
"""HAProxy's own: 10 for logs, pipes and pollers, 10 for the stats socket's default maxconn."""

HAPROXY_LISTENERS = 4
"""The listeners for clients, health and metrics, and the admin socket."""

HAPROXY_MASTER_DESCRIPTORS = 3
"""The worker's pipe and listener for its master, counted by HAProxy under -W."""

HAPROXY_FORMER_WORKERS = 8
"""One descriptor for each worker from before a reload that the master still knows."""

TELEMT_FIXED_DESCRIPTORS = 2000
"""Besides two for each client: middle-proxy pool, API, metrics, log, caches (Telemt's
documents)."""

SKEW = 1.25
"""How far one replica's share may exceed the mean when clients are hashed by address."""

PORT_SHARE = 0.45
"""Above this share of a port range, connect() has to search: 66 µs became 1,300 µs and more."""

HAPROXY_BYTES = 3_700
"""Resident bytes of HAProxy for one idle connection (measured 3.4 to 4.0 KB)."""

HAPROXY_CHARGED_BYTES = {"unix": 8_820, "tcp": 9_700}
"""Bytes that one idle client adds to HAProxy's memory cgroup, by link: HAProxy's own, and the
kernel's that are charged to it. Measured on cgroup v1 at 1,000 and at 4,000 clients: with unix 3.53
KB of its own and 5.29 KB of the kernel's (8.6 KB in all where HAProxy's heap has room from earlier
clients), with tcp 9.67 to 9.9 KB."""

KERNEL_BYTES = {"unix": 14_000, "tcp": 20_000}
"""Kernel slab of one idle connection by link, both ends on this machine (measured 13 to 22 KB)."""

"""Whose network namespace: the host's, HAProxy's, a replica's."""

CONNTRACK_ENTRIES: dict[tuple[str, str], dict[str, int]] = {
    # client to HAProxy, replica to data centre
    ("host", "unix"): {HOST: 2},
    # and HAProxy to replica
    ("host", "tcp"): {HOST: 3},
    # The host translates the client's, and sees what crosses the stack's bridge.
    ("bridge", "unix"): {HOST: 2, HAPROXY: 1, TELEMT: 1},
    ("bridge", "tcp"): {HOST: 3, HAPROXY: 2, TELEMT: 2},
}
"""Entries that a client makes in each namespace's conntrack table, by network mode and link.

Counted in /proc/net/nf_conntrack on a Docker host that held 1,000 clients: 1,000 for each leg named
above, none for a unix link. In a replica's namespace only its own clients count. The leg to the
data centre is included; through middle proxies many clients share one.
"""


@dataclass(frozen=True, slots=True)
class Sizes:
    """Every number that follows from `connections`.

    Attributes:
        frontend_maxconn: clients that the frontend takes: the stack's `connections`.
        global_maxconn: HAProxy's process-wide maxconn.
        threads: HAProxy's nbthread.
        pipes: HAProxy's maxpipes, for splicing; 0 where nothing is spliced.
        haproxy_descriptors: the largest Maxsock that HAProxy may compute.
        server_maxconn: connections one replica is given.
        telemt_max_connections: Telemt's own cap in one replica, above server_maxconn.
        telemt_descriptors: descriptors one replica needs at that cap.
        ports_per_link: usable source ports from HAProxy to one replica, over all its ports.
        link_ports: ports that a replica listens on for TCP links; 1 on unix links.
        conntrack_entries: conntrack entries with all clients connected, in the fullest namespace;
            every namespace counts its own entries against nf_conntrack_max.
        haproxy_bytes: HAProxy's resident memory with all clients connected and idle.
        kernel_bytes: kernel memory for the same.
    """

    frontend_maxconn: int
    global_maxconn: int
    threads: int
    pipes: int
    haproxy_descriptors: int
    server_maxconn: int
    telemt_max_connections: int
    telemt_descriptors: int
    ports_per_link: int
    link_ports: int
    conntrack_entries: int
    haproxy_bytes: int
    kernel_bytes: int


def threads_for(connections: int) -> int:
    """HAProxy threads: one for each 50,000 connections, at least 2, at most 64."""
    return min(64, max(2, ceil(connections / 50_000)))


CONNECTIONS_PER_PIPE = 4
"""HAProxy's own rule. A connection that finds no free pipe is copied, as without splicing."""


def pipes_for(maxconn: int, splice: str) -> int:
    """HAProxy's maxpipes: 0 with `splice` off, else one for every fourth connection."""
    return 0 if splice == "off" else ceil(maxconn / CONNECTIONS_PER_PIPE)


def haproxy_descriptors(maxconn: int, threads: int, replicas: int, pipes: int = 0) -> int:
    """The Maxsock that HAProxy computes: two for each connection and pipe, and its own.

    The formula is HAProxy 3.0's: 2·maxconn + 2·maxpipes + 3·nbthread + fixed + listeners + one
    per check, with room for reloads.
    """
    own = (
        HAPROXY_FIXED_DESCRIPTORS
        + HAPROXY_LISTENERS
        + HAPROXY_MASTER_DESCRIPTORS
        + HAPROXY_FORMER_WORKERS
    )
    return 2 * (maxconn + pipes) + 3 * threads + own + replicas


def telemt_descriptors(max_connections: int) -> int:
    """Descriptors one Telemt needs in direct mode: client and data-centre side, and its own."""
    return 2 * max_connections + TELEMT_FIXED_DESCRIPTORS


def replica_share(connections: int, replicas: int) -> int:
    """Connections that one replica must be able to take when another one is lost.

    The number has room for the skew of hashing by address, and never exceeds `connections`.
    """
    if replicas == 1:
        return connections
    return min(connections, ceil(connections * SKEW / (replicas - 1)))


def fair_share(connections: int, replicas: int) -> int:
    """Connections a replica carries when all replicas are up and clients spread evenly."""
    return ceil(connections / replicas)


def telemt_cap(server_maxconn: int) -> int:
    """Telemt's max_connections: server maxconn, plus 5 % and 64 for checks and closing clients."""
    return ceil(server_maxconn * 1.05) + 64


def server_maxconn_within(descriptors: int) -> int:
    """The largest server maxconn whose Telemt stays within `descriptors` (may be 0 or less)."""
    cap = (descriptors - TELEMT_FIXED_DESCRIPTORS) // 2
    return int((cap - 64) / 1.05)


def usable_ports(low: int, high: int) -> int:
    """Source ports of an inclusive range towards one destination address and port."""
    return high - low + 1


def link_ports_for(share: int, pair: int, percent: int) -> int:
    """Ports that a replica needs so that `share` connections take `percent` of each port's `pair`.

    Args:
        share: connections one replica must be able to take.
        pair: usable source ports from one address to one address and port.
        percent: of those, 1 to 100.
    """
    return max(1, -(-share * 100 // (percent * pair)))


def size(
    *,
    connections: int,
    replicas: int,
    threads: int,
    network: str,
    link: str,
    port_range: tuple[int, int],
    nofile: int,
    link_ports: int = 1,
    splice: str = "off",
) -> Sizes:
    """All sizes of a stack.

    Args:
        connections: clients that the stack carries at once, at least 1.
        replicas: Telemt replicas, at least 1.
        threads: HAProxy threads; 0 derives them.
        network: "bridge" or "host".
        link: "unix" or "tcp".
        port_range: ip_local_port_range of HAProxy's namespace, inclusive.
        nofile: a process's soft limit on descriptors; it caps the connections of one replica.
        link_ports: ports that a replica listens on for TCP links.
        splice: "off" or "auto"; unix links are never spliced.

    The result is arithmetic only. The plan decides whether it fits.
    """
    nbthread = threads or threads_for(connections)
    maxconn = connections + ADMIN_RESERVE
    ports = usable_ports(*port_range) * link_ports
    server = min(replica_share(connections, replicas), max(1, server_maxconn_within(nofile)))
    if link == "tcp":
        server = min(server, ports)
    cap = telemt_cap(server)
    pipes = pipes_for(maxconn, splice if link == "tcp" else "off")
    return Sizes(
        frontend_maxconn=connections,
        global_maxconn=maxconn,
        threads=nbthread,
        pipes=pipes,
        haproxy_descriptors=haproxy_descriptors(maxconn, nbthread, replicas, pipes),
        server_maxconn=server,
        telemt_max_connections=cap,
        telemt_descriptors=telemt_descriptors(cap),
        ports_per_link=ports,
        link_ports=link_ports,
        conntrack_entries=connections * max(CONNTRACK_ENTRIES[(network, link)].values()),
        haproxy_bytes=connections * HAPROXY_BYTES,
        kernel_bytes=connections * KERNEL_BYTES[link],
    )
