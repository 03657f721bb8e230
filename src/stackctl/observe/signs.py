"""Which rows of the limits table a growing counter points at: data. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from stackctl.limits import TABLE, Limit, Role
from stackctl.observe.counters import changes


@dataclass(frozen=True, slots=True)
class Sign:
    """A counter or a failure's cause that points at limits.

    Attributes:
        name: the counter's name, or the cause of a failure.
        means: what it means that it grows.
        limits: keys of the rows it can point at, the likeliest first; empty without such a row.
    """

    name: str
    means: str
    limits: tuple[str, ...] = ()


QUEUE = ("haproxy.backlog", "telemt.listen_backlog", "net.core.somaxconn")
"""Rows of a listener's accept queue, at HAProxy or at a replica."""

_SYNS = ("net.ipv4.tcp_max_syn_backlog", "net.ipv4.tcp_syncookies")
_TABLE_FULL = ("net.netfilter.nf_conntrack_max", "net.netfilter.nf_conntrack_buckets")
_RECEIVE = ("net.ipv4.tcp_rmem",)

COUNTERS = (
    Sign("netstat.ListenOverflows", "a listener's accept queue was full", QUEUE),
    Sign("netstat.ListenDrops", "a listener dropped connections, mostly for a full queue", QUEUE),
    Sign("netstat.TCPReqQFullDrop", "the SYN queue was full: SYNs were dropped", _SYNS),
    Sign("netstat.TCPReqQFullDoCookies", "the SYN queue was full: SYN cookies were used", _SYNS),
    Sign("netstat.SyncookiesSent", "SYN cookies were sent, because the SYN queue was full", _SYNS),
    Sign("netstat.SyncookiesFailed", "ACKs came with an invalid SYN cookie", _SYNS),
    Sign("netstat.TCPSynRetrans", "a SYN got no answer and was retransmitted", ()),
    Sign(
        "netstat.TCPTimeWaitOverflow",
        "TIME-WAIT sockets were closed early: there were too many",
        ("net.ipv4.tcp_max_tw_buckets",),
    ),
    Sign("netstat.TCPAbortOnMemory", "connections were reset: too many orphans, or no memory", ()),
    Sign("netstat.TCPMemoryPressures", "all of TCP's memory came near tcp_mem", ()),
    Sign("netstat.PruneCalled", "a receive buffer was full and was compacted", _RECEIVE),
    Sign("netstat.RcvPruned", "data was dropped: a receive buffer was full", _RECEIVE),
    Sign("netstat.TCPBacklogDrop", "data was dropped: a socket's backlog was full", _RECEIVE),
    Sign("conntrack.insert_failed", "an entry could not be put into the table", _TABLE_FULL),
    Sign("conntrack.drop", "packets were dropped: the conntrack table was full", _TABLE_FULL),
    Sign("conntrack.early_drop", "conntrack entries were dropped to make room", _TABLE_FULL),
    Sign("haproxy.econ", "HAProxy could not connect to a replica", QUEUE[1:]),
    Sign("haproxy.wretr", "HAProxy retried a connection to a replica", QUEUE[1:]),
    Sign("haproxy.wredis", "HAProxy sent a client to another replica", ("haproxy.server_maxconn",)),
    Sign("haproxy.eresp", "a replica's answer failed, or it closed", ("telemt.max_connections",)),
)
"""Counters of the kernel and of HAProxy that do not grow while all is well."""

TELEMT_COUNTERS = (
    Sign(
        "telemt_accept_permit_timeout_total",
        "Telemt was at max_connections and dropped a client",
        ("telemt.max_connections",),
    ),
    Sign("telemt_handshake_timeouts_total", "a client did not finish its handshake in time"),
    Sign(
        "telemt_connections_bad_by_class_total",
        "Telemt refused a client: an unknown secret, or not MTProto",
    ),
    Sign(
        "telemt_upstream_connect_fail_total",
        "Telemt did not reach a data centre",
        ("net.ipv4.ip_local_port_range", "nofile"),
    ),
)
"""Series of a replica's metrics page, summed over all labels except the class."""

SIGNS = (*COUNTERS, *TELEMT_COUNTERS)


def sign_of(name: str) -> Sign | None:
    """The sign of a counter; for a series with labels (`NAME{class="..."}`) that of its name."""
    bare = name.partition("{")[0]
    return next((sign for sign in SIGNS if sign.name == bare), None)


@dataclass(frozen=True, slots=True)
class Movement:
    """A counter that moved.

    Attributes:
        where: "host", "haproxy" or "telemt-N": whose network namespace, or whose own counter.
        by: by how much it grew.
        limits: keys of the rows it points at there.
    """

    where: str
    name: str
    by: int
    means: str
    limits: tuple[str, ...]


def rows_on(keys: tuple[str, ...], role: Role | None, link: str) -> tuple[str, ...]:
    """Those of these rows that are declared on such a target, with such links.

    Args:
        keys: keys of rows.
        role: the target's; None for all roles, as on a stack that shares the host's namespace.
        link: "unix" or "tcp".
    """
    return tuple(key for key in keys if _fits(TABLE[key], role, link))


def _fits(row: Limit, role: Role | None, link: str) -> bool:
    return row.link in {"", link} and (role is None or role in row.on)


def movements(
    where: str,
    role: Role | None,
    link: str,
    before: Mapping[str, int],
    after: Mapping[str, int],
) -> tuple[Movement, ...]:
    """The counters that moved in one place, each with its rows."""
    if any(sign_of(name) in TELEMT_COUNTERS for name in before):
        # The page was read, so a class that was missing on it had not been counted yet.
        before = {name: 0 for name in after if "{" in name} | dict(before)
    order = {sign.name: place for place, sign in enumerate(SIGNS)}
    found = [(sign_of(name), name, by) for name, by in changes(before, after).items()]
    known = sorted((order[sign.name], name, by, sign) for sign, name, by in found if sign)
    return tuple(
        Movement(where, name, by, sign.means, rows_on(sign.limits, role, link))
        for _, name, by, sign in known
    )
