"""Which rows of THE TABLE a counter's movement points at: data. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from stackctl.counters.parse import changes
from stackctl.limits import TABLE, Limit, Role


@dataclass(frozen=True, slots=True)
class Sign:
    """Something that tells of a limit.

    Attributes:
        name: of a counter, or the cause of a failure.
        means: what it says when it moves.
        limits: keys of the rows it can point at, the likeliest first; none where no row governs it.
    """

    name: str
    means: str
    limits: tuple[str, ...] = ()


QUEUE = ("haproxy.backlog", "telemt.listen_backlog", "net.core.somaxconn")
"""Rows of a listener's queue, wherever it is."""

_SYNS = ("net.ipv4.tcp_max_syn_backlog", "net.ipv4.tcp_syncookies")
_TABLE_FULL = ("net.netfilter.nf_conntrack_max", "net.netfilter.nf_conntrack_buckets")
_RECEIVE = ("net.ipv4.tcp_rmem",)

COUNTERS = (
    Sign("netstat.ListenOverflows", "a listener's queue was full", QUEUE),
    Sign("netstat.ListenDrops", "a listener dropped a connection, mostly of a full queue", QUEUE),
    Sign("netstat.TCPReqQFullDrop", "half-open connections dropped: their queue was full", _SYNS),
    Sign("netstat.TCPReqQFullDoCookies", "the queue of half-open ones was full: cookies", _SYNS),
    Sign("netstat.SyncookiesSent", "SYN cookies were sent in place of queue places", _SYNS),
    Sign("netstat.SyncookiesFailed", "answers to SYN cookies that were none", _SYNS),
    Sign("netstat.TCPSynRetrans", "a SYN was not answered and was sent again", ()),
    Sign(
        "netstat.TCPTimeWaitOverflow",
        "closed connections were forgotten before their time",
        ("net.ipv4.tcp_max_tw_buckets",),
    ),
    Sign("netstat.TCPAbortOnMemory", "connections ended: too many orphans, or no memory", ()),
    Sign("netstat.TCPMemoryPressures", "TCP as a whole came near tcp_mem", ()),
    Sign("netstat.PruneCalled", "a receive buffer was full and was compacted", _RECEIVE),
    Sign("netstat.RcvPruned", "data dropped: a receive buffer was full", _RECEIVE),
    Sign("netstat.TCPBacklogDrop", "data dropped: its reader was too far behind", _RECEIVE),
    Sign("conntrack.insert_failed", "a connection could not be put into the table", _TABLE_FULL),
    Sign("conntrack.drop", "packets dropped: the table of connections was full", _TABLE_FULL),
    Sign("conntrack.early_drop", "tracked connections were put out to make room", _TABLE_FULL),
    Sign("haproxy.econ", "HAProxy could not connect to a replica", QUEUE[1:]),
    Sign("haproxy.wretr", "HAProxy tried a replica again", QUEUE[1:]),
    Sign("haproxy.wredis", "HAProxy gave a client to another replica", ("haproxy.server_maxconn",)),
    Sign("haproxy.eresp", "a replica answered wrongly, or ended", ("telemt.max_connections",)),
)
"""Counters that stand still while all goes well."""


@dataclass(frozen=True, slots=True)
class Movement:
    """A counter that moved.

    Attributes:
        where: "host", "haproxy" or "telemt-N": whose network namespace, or whose own counter.
        by: how much.
        limits: keys of the rows it points at there.
    """

    where: str
    name: str
    by: int
    means: str
    limits: tuple[str, ...]


def rows_on(keys: tuple[str, ...], role: Role | None, link: str) -> tuple[str, ...]:
    """Those of the rows that are declared on such a target, with such links.

    Args:
        keys: of rows.
        role: the target's; None for all of them, as on a stack that shares the host's namespace.
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
    moved = changes(before, after)
    return tuple(
        Movement(where, sign.name, moved[sign.name], sign.means, rows_on(sign.limits, role, link))
        for sign in COUNTERS
        if sign.name in moved
    )
