"""What `buffers: density` bounds: the memory one client may pin by not reading. Not the guide's.

Under the guide's 16 MB a client that stops reading holds megabytes in HAProxy's socket to it, in
HAProxy's socket to the replica and in the replica's own. Each is bounded here, the two that carry
the other direction too: a replica that stalls does so for all of its clients at once.
"""

from __future__ import annotations

from stackctl.limits.model import Compare, Depth, Kind, Limit, Read, Reader, Role, Scope
from stackctl.limits.rows import RECREATE, haproxy_cfg, netns_sysctl, sysctl

DENSITY = "density"
BOUND = 65536
"""Bytes asked for; the kernel doubles them for its bookkeeping, and a socket may fill all of it."""

LINK_BOUND = 32768
"""The same, for what HAProxy takes of a TCP link. With 65,536 a stalled reader had 0.36 MiB, with
this 0.29; one reader got 468 and 343 MB/s, 16 of them 656 and 517 (medians of five, in turns): many
times what the bound to the client lets one have across a network."""

NOT_SENT = 32768
"""Bytes a replica may queue in a TCP link before HAProxy's side has room for them. With this
and with 131,072 one reader and 16 of them got as many bytes a second, in turns."""


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
        departs="Not in the guide: with `buffers: density` alone; without it the socket autotunes "
        "up to the guide's 16 MB",
        on=(Role.HAPROXY,),
        settings=haproxy_cfg("global", f"tune.{buffer}.{side} {{}}"),
        reads=(Read(Reader.HAPROXY_SOCKET, f"{side}.{buffer}", Depth.EFFECTIVE),),
        remedy="render and start again (`stackctl up`): the live process does not run the plan's "
        "value; a size above net.core.wmem_max or rmem_max is cut to that",
        link=link,
        buffers=DENSITY,
    )


ROWS = (
    _bound(
        "sndbuf",
        "client",
        "bytes kept for a client that does not read; a connection moves one to two times this in a "
        "round trip, and no more",
    ),
    _bound(
        "rcvbuf",
        "client",
        "bytes a client may send ahead while its replica stalls, which a replica does for all of "
        "its clients at once",
    ),
    _bound(
        "sndbuf",
        "server",
        "bytes kept for a replica that does not read; a unix link's, too, which would otherwise "
        "have net.core.wmem_default",
    ),
    _bound(
        "rcvbuf",
        "server",
        "bytes taken from a replica for a client that does not read; a unix link has no such "
        "buffer, there the replica's send buffer holds them",
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
        why="bytes a replica queues in a TCP link beyond what HAProxy has room for: without it its "
        "own send buffer took megabytes for each client that does not read, however small "
        "HAProxy's are",
        departs="Not in the guide: with `buffers: density` and TCP links alone; it bounds what "
        "waits and not what is on its way, so it costs no speed",
        on=(Role.TELEMT,),
        settings=netns_sysctl("net.ipv4.tcp_notsent_lowat"),
        reads=(sysctl("net.ipv4.tcp_notsent_lowat"),),
        remedy=RECREATE,
        link="tcp",
        buffers=DENSITY,
    ),
)
