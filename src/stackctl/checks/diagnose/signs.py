"""Which fills there are, and which rows they point at: data. Pure."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class FillSign:
    """Something limited.

    Attributes:
        name: what is shown.
        used: the reading that says how much there is.
        of: the reading that says how much there may be.
        means: what happens at the limit.
        limits: keys of the rows that set it, the likeliest first.
    """

    name: str
    used: str
    of: str
    means: str
    limits: tuple[str, ...] = ()


FILLS = (
    FillSign(
        "files", "file-nr.used", "file-nr.max", "no process can open a file", ("fs.file-max",)
    ),
    FillSign(
        "descriptors",
        "descriptors.used",
        "descriptors.soft",
        "the process accepts no more connections",
        ("nofile",),
    ),
    FillSign(
        "conntrack entries",
        "conntrack.entries",
        "sysctl.net.netfilter.nf_conntrack_max",
        "packets of new connections are dropped",
        ("net.netfilter.nf_conntrack_max",),
    ),
    FillSign(
        "TIME-WAIT sockets",
        "sockstat.TCP.tw",
        "sysctl.net.ipv4.tcp_max_tw_buckets",
        "TIME-WAIT sockets are closed early",
        ("net.ipv4.tcp_max_tw_buckets",),
    ),
    FillSign(
        "orphans",
        "sockstat.TCP.orphan",
        "sysctl.net.ipv4.tcp_max_orphans",
        "closed connections with unsent data are reset",
    ),
    FillSign(
        "TCP memory, pages",
        "sockstat.TCP.mem",
        "sysctl.net.ipv4.tcp_mem",
        "the kernel drops received data",
    ),
    FillSign(
        "connections",
        "haproxy.CurrConns",
        "haproxy.Maxconn",
        "HAProxy stops accepting, and the accept queue fills",
        ("haproxy.maxconn",),
    ),
    FillSign(
        "clients",
        "haproxy.frontend.scur",
        "haproxy.frontend.slim",
        "HAProxy stops accepting, and the accept queue fills",
        ("haproxy.frontend_maxconn",),
    ),
    FillSign(
        "waiting for a replica",
        "haproxy.backend.qcur",
        "",
        "every replica is at its maxconn: clients wait in HAProxy's queue",
        ("haproxy.server_maxconn",),
    ),
    FillSign(
        "connections to it",
        "haproxy.server.scur",
        "haproxy.server.slim",
        "HAProxy sends this replica no more clients",
        ("haproxy.server_maxconn",),
    ),
)
