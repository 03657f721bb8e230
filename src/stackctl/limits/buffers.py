"""The rows of `buffers: density`: they bound the memory that one client pins by not reading.

They are not in the guide. Under its 16 MB a client that stops reading holds megabytes in three
sockets: HAProxy's to the client, HAProxy's to the replica, and the replica's own. Each is bounded
here, in both directions, because a replica that stalls does so for all of its clients at once.
"""

from __future__ import annotations

from stackctl.limits.model import Compare, Depth, Kind, Limit, Read, Reader, Role, Scope
from stackctl.limits.rows import RECREATE, haproxy_cfg, netns_sysctl, sysctl

DENSITY = "density"
BOUND = 65536
"""Bytes to ask for. The kernel doubles them for its bookkeeping; a socket may fill all of it."""

LINK_BOUND = 32768
"""The same for what HAProxy receives on a TCP link. With 65,536 a stalled reader pinned 0.36 MiB,
with this 0.29. One reader got 468 and 343 MB/s, 16 readers 656 and 517 (medians of five, by turns):
many times what the bound towards the client allows across a network."""

NOT_SENT = 32768
"""Bytes that a replica may queue in a TCP link before HAProxy has room for them. One reader, and 16
readers, were as fast with this as with 131,072 (by turns)."""


def _bound(buffer: str, side: str, why: str, wanted: int = BOUND, link: str = "") -> Limit:
    return Limit(
        key=f"haproxy.{buffer}_{side}",
        section="4",
        kind=Kind.BYTES,
        compare=Compare.EQUAL,
        scope=Scope.HAPROXY,
        guide="",
        wanted=wanted,
        why=why,
        departs="Not in the guide: set with `buffers: density` alone; otherwise the socket "
        "autotunes up to the guide's 16 MB",
        on=(Role.HAPROXY,),
        settings=haproxy_cfg("global", f"tune.{buffer}.{side} {{}}"),
        reads=(Read(Reader.HAPROXY_SOCKET, f"{side}.{buffer}", Depth.EFFECTIVE),),
        remedy="render and start again (`stackctl up`): the live process does not run the plan's "
        "value; the kernel cuts a size down to net.core.wmem_max or rmem_max",
        link=link,
        buffers=DENSITY,
    )


ROWS = (
    _bound(
        "sndbuf",
        "client",
        "bytes kept for a client that does not read; a connection moves at most one to two times "
        "as many in a round trip",
    ),
    _bound(
        "rcvbuf",
        "client",
        "bytes a client may send ahead while its replica stalls; a replica stalls for all of its "
        "clients at once",
    ),
    _bound(
        "sndbuf",
        "server",
        "bytes kept for a replica that does not read; without it a unix link has "
        "net.core.wmem_default",
    ),
    _bound(
        "rcvbuf",
        "server",
        "bytes taken from a replica for a client that does not read; a unix link has no such "
        "buffer: there the replica's send buffer holds them",
        LINK_BOUND,
        link="tcp",
    ),
    Limit(
        key="net.ipv4.tcp_notsent_lowat",
        section="2",
        kind=Kind.BYTES,
        compare=Compare.EQUAL,
        scope=Scope.NETNS,
        guide="",
        wanted=NOT_SENT,
        why="bytes a replica queues in a TCP link beyond what HAProxy has room for; without this "
        "bound its send buffer held megabytes for each client that did not read, however small "
        "HAProxy's buffers were",
        departs="Not in the guide: set with `buffers: density` and TCP links alone; it bounds "
        "bytes that wait, not bytes in flight, so it costs no speed",
        on=(Role.TELEMT,),
        settings=netns_sysctl("net.ipv4.tcp_notsent_lowat"),
        reads=(sysctl("net.ipv4.tcp_notsent_lowat"),),
        remedy=RECREATE,
        link="tcp",
        buffers=DENSITY,
    ),
)
