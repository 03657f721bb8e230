"""Section 3 of the guide: connection tracking."""

from __future__ import annotations

from stackctl.limits.model import Compare, Kind, Limit, Place, Role, Scope, Setting
from stackctl.limits.rows import PREPARE_HOST, sysctl


def _table(key: str, wanted: int, guide: str, why: str, departs: str = "") -> Limit:
    return Limit(
        key=key,
        section="3",
        kind=Kind.COUNT,
        compare=Compare.AT_LEAST,
        scope=Scope.HOST,
        guide=guide,
        wanted=wanted,
        why=why,
        departs=departs,
        on=(Role.HOST,),
        settings=(Setting(Place.MODULES_LOAD, "nf_conntrack"), Setting(Place.SYSCTL_D, key)),
        reads=(sysctl(key),),
        remedy=PREPARE_HOST,
    )


def _timeout(key: str, wanted: int, why: str) -> Limit:
    return Limit(
        key=key,
        section="3",
        kind=Kind.SECONDS,
        compare=Compare.EQUAL,
        scope=Scope.NETNS,
        guide=str(wanted),
        wanted=wanted,
        why=why,
        # The host's entries for published ports follow the host's value, a container's entries the
        # container's: all three namespaces count.
        on=(Role.HOST, Role.HAPROXY, Role.TELEMT),
        settings=(
            Setting(Place.MODULES_LOAD, "nf_conntrack"),
            Setting(Place.SYSCTL_D, key),
            Setting(Place.COMPOSE_SYSCTL, key),
        ),
        reads=(sysctl(key),),
        remedy="recreate the container (`stackctl up`); on the host, " + PREPARE_HOST,
    )


ROWS = (
    _table(
        "net.netfilter.nf_conntrack_max",
        2097152,
        "2097152",
        "entries of the conntrack table; when it is full, the kernel drops the packets of new "
        "connections. Every network namespace counts its own entries against this number",
    ),
    _table(
        "net.netfilter.nf_conntrack_buckets",
        524288,
        "",
        "hash chains of the conntrack table; with the default number, a lookup among two million "
        "entries searches dozens of them",
        departs="Not in the guide: a quarter of nf_conntrack_max",
    ),
    _timeout(
        "net.netfilter.nf_conntrack_tcp_timeout_established",
        3600,
        "how long the entry of a connection stays after both ends vanished (5 days by default)",
    ),
    _timeout(
        "net.netfilter.nf_conntrack_tcp_timeout_time_wait",
        12,
        "how long the entry of a closed connection stays (120 s by default)",
    ),
)
