"""Section 2 of the guide: the network stack."""

from __future__ import annotations

from stackctl.limits.model import (
    Compare,
    Depth,
    Kind,
    Limit,
    Place,
    Read,
    Reader,
    Role,
    Scope,
    Setting,
    Value,
)
from stackctl.limits.rows import (
    BOTH,
    PREPARE_HOST,
    RECREATE,
    fresh_socket,
    host_sysctl,
    netns_sysctl,
    sysctl,
    usual,
)
from stackctl.limits.values import compact


def netns_row(
    key: str,
    wanted: Value,
    why: str,
    *effects: Read,
    kind: Kind = Kind.COUNT,
    compare: Compare | None = None,
    guide: str | None = None,
    departs: str = "",
) -> Limit:
    """A sysctl that each network namespace has, required of HAProxy and of every replica.

    Args:
        key: the sysctl.
        wanted: its value.
        why: what goes wrong without it.
        *effects: what shows it at work, such as `fresh_socket(...)`; the sysctl itself is read
            always.
        kind: what the value is.
        compare: None: a word or a flag must be equal, a number at least as high.
        guide: the guide's value; None where that is `wanted`, "" where the guide does not name it.
        departs: why `wanted` is not the guide's; "Not in the guide: ..." where `guide` is "".
    """
    return Limit(
        key=key,
        section="2",
        kind=kind,
        compare=compare or usual(kind),
        scope=Scope.NETNS,
        guide=compact(wanted) if guide is None else guide,
        wanted=wanted,
        why=why,
        departs=departs,
        on=BOTH,
        settings=netns_sysctl(key),
        reads=(sysctl(key), *effects),
        remedy=RECREATE,
    )


def host_row(
    key: str,
    wanted: Value,
    why: str,
    *effects: Read,
    kind: Kind = Kind.COUNT,
    compare: Compare | None = None,
    guide: str | None = None,
    departs: str = "",
) -> Limit:
    """A sysctl that is required of the host alone; the arguments are those of `netns_row`.

    The kernel has most of these once. A key that each namespace has can stand here, too: it is then
    set and read in the host's namespace, and containers keep their own.
    """
    return Limit(
        key=key,
        section="2",
        kind=kind,
        compare=compare or usual(kind),
        scope=Scope.HOST,
        guide=compact(wanted) if guide is None else guide,
        wanted=wanted,
        why=why,
        departs=departs,
        on=(Role.HOST,),
        settings=host_sysctl(key),
        reads=(sysctl(key), *effects),
        remedy=PREPARE_HOST,
    )


ROWS = (
    netns_row(
        "net.core.somaxconn",
        65535,
        "the ceiling of every listen backlog in this namespace, read once at listen(); a unix "
        "listener's backlog is this value alone",
        fresh_socket("backlog"),
    ),
    host_row(
        "net.core.netdev_max_backlog",
        65535,
        "packets waiting per CPU between the card and the stack; drops are column 2 of "
        "softnet_stat",
    ),
    netns_row(
        "net.ipv4.tcp_max_syn_backlog",
        65535,
        "half-open connections a listener keeps; counts only where SYN cookies are off",
    ),
    netns_row(
        "net.ipv4.tcp_syncookies",
        1,
        "without cookies a SYN flood fills the SYN queue, and real clients are refused",
        kind=Kind.FLAG,
    ),
    netns_row(
        "net.ipv4.ip_local_port_range",
        (10000, 65535),
        "ports of outgoing connections: to Telegram, and to replicas over TCP links",
        Read(Reader.FRESH_SOCKET, "ports", Depth.EFFECTIVE, compare=Compare.WITHIN),
        kind=Kind.PORT_RANGE,
        compare=Compare.COVERS,
    ),
    netns_row(
        "net.ipv4.tcp_fin_timeout",
        15,
        "how long an orphaned FIN-WAIT-2 socket stays; TIME-WAIT always lasts 60 s",
        fresh_socket("linger2"),
        kind=Kind.SECONDS,
        compare=Compare.EQUAL,
    ),
    netns_row(
        "net.ipv4.tcp_tw_reuse",
        1,
        "an outgoing connection may take over a port in TIME-WAIT",
        kind=Kind.FLAG,
    ),
    netns_row(
        "net.ipv4.tcp_max_tw_buckets",
        2000000,
        "TIME-WAIT sockets kept; above this number they are destroyed at once, and late segments "
        "reach other connections",
    ),
    netns_row(
        "net.ipv4.tcp_keepalive_time",
        300,
        "idle seconds before the first probe, for sockets that ask for keepalive and do not set "
        "their own",
        fresh_socket("keepidle"),
        kind=Kind.SECONDS,
        compare=Compare.EQUAL,
    ),
    netns_row(
        "net.ipv4.tcp_keepalive_intvl",
        30,
        "seconds between probes",
        fresh_socket("keepintvl"),
        kind=Kind.SECONDS,
        compare=Compare.EQUAL,
    ),
    netns_row(
        "net.ipv4.tcp_keepalive_probes",
        5,
        "unanswered probes before the connection is dropped",
        fresh_socket("keepcnt"),
        compare=Compare.EQUAL,
    ),
    host_row(
        "net.core.rmem_default",
        262144,
        "initial receive buffer of UDP and unix sockets; TCP does not use it",
        fresh_socket("udp_rcvbuf"),
        kind=Kind.BYTES,
    ),
    host_row(
        "net.core.wmem_default",
        262144,
        "initial send buffer of UDP and unix sockets; on unix links it bounds what HAProxy can "
        "hand a replica at once",
        fresh_socket("udp_sndbuf"),
        kind=Kind.BYTES,
    ),
    host_row(
        "net.core.rmem_max",
        16777216,
        "the most a program may ask for with SO_RCVBUF; Telemt asks for 262144",
        fresh_socket("rcvbuf_max"),
        kind=Kind.BYTES,
    ),
    host_row(
        "net.core.wmem_max",
        16777216,
        "the most a program may ask for with SO_SNDBUF; Telemt asks for 262144",
        fresh_socket("sndbuf_max"),
        kind=Kind.BYTES,
    ),
    netns_row(
        "net.ipv4.tcp_rmem",
        (4096, 131072, 16777216),
        "receive buffer of a TCP socket: minimum, initial, and the most autotuning may reach",
        fresh_socket("rcvbuf", part=1),
        kind=Kind.TRIPLE,
        guide="4096 87380 16777216",
        departs="kernels have used 131072 since 4.20; the guide's 87380 would lower it",
    ),
    netns_row(
        "net.ipv4.tcp_wmem",
        (4096, 65536, 16777216),
        "send buffer of a TCP socket: minimum, initial, and the most autotuning may reach",
        fresh_socket("sndbuf", part=1),
        kind=Kind.TRIPLE,
    ),
    Limit(
        key="net.core.default_qdisc",
        section="2",
        kind=Kind.WORD,
        compare=Compare.EQUAL,
        scope=Scope.HOST,
        guide="fq",
        wanted="fq",
        why="paces the packets that leave the card; bbr paces by itself since kernel 4.13, and "
        "veth and loopback never have a queue",
        on=(Role.HOST,),
        settings=(
            Setting(Place.MODULES_LOAD, "sch_fq"),
            Setting(Place.SYSCTL_D, "net.core.default_qdisc"),
        ),
        reads=(
            sysctl("net.core.default_qdisc"),
            Read(Reader.NIC_QDISC, "", Depth.EFFECTIVE),
        ),
        remedy=PREPARE_HOST,
    ),
    Limit(
        key="net.ipv4.tcp_congestion_control",
        section="2",
        kind=Kind.WORD,
        compare=Compare.EQUAL,
        scope=Scope.NETNS,
        guide="bbr",
        wanted="bbr",
        why="keeps throughput on lossy mobile paths; it applies only to sockets made afterwards",
        departs="set in HAProxy's namespace, which faces the clients. HAProxy 3.0 has no `cc` for "
        "a bind or server line, so it also sends to replicas over TCP with bbr",
        # On the host too: a container can only have what the host itself allows.
        on=(Role.HOST, Role.HAPROXY),
        settings=(
            Setting(Place.MODULES_LOAD, "tcp_bbr"),
            Setting(Place.SYSCTL_D, "net.ipv4.tcp_congestion_control"),
            Setting(Place.COMPOSE_SYSCTL, "net.ipv4.tcp_congestion_control"),
        ),
        reads=(
            sysctl("net.ipv4.tcp_congestion_control"),
            fresh_socket("congestion"),
        ),
        remedy=RECREATE,
    ),
    Limit(
        key="telemt.congestion_control",
        section="2",
        kind=Kind.WORD,
        compare=Compare.EQUAL,
        scope=Scope.TELEMT,
        guide="",
        wanted="reno",
        why="a replica would inherit the host's bbr; on the hop to HAProxy, which has no loss and "
        "no distance, bbr divided the bandwidth by 1.8 to 2.4",
        departs="Not in the guide, which sets bbr for the whole machine; every container may use "
        "reno",
        on=(Role.TELEMT,),
        settings=(Setting(Place.COMPOSE_SYSCTL, "net.ipv4.tcp_congestion_control"),),
        reads=(
            sysctl("net.ipv4.tcp_congestion_control"),
            fresh_socket("congestion"),
        ),
        remedy=RECREATE,
        link="tcp",
        # On the host's network there is one namespace, and clients are in it.
        network="bridge",
    ),
)
