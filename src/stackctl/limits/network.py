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
)
from stackctl.limits.rows import (
    BOTH,
    PREPARE_HOST,
    RECREATE,
    fresh_socket,
    host_sysctl,
    netns_sysctl,
    sysctl,
)


def _netns(
    key: str,
    wanted: int | tuple[int, ...],
    why: str,
    *effects: Read,
    kind: Kind = Kind.COUNT,
    compare: Compare = Compare.AT_LEAST,
    guide: str = "",
    departs: str = "",
) -> Limit:
    return Limit(
        key=key,
        section="2",
        kind=kind,
        compare=compare,
        scope=Scope.NETNS,
        guide=guide or str(wanted),
        wanted=wanted,
        why=why,
        departs=departs,
        on=BOTH,
        settings=netns_sysctl(key),
        reads=(sysctl(key), *effects),
        remedy=RECREATE,
    )


def _host(key: str, wanted: int, why: str, *effects: Read, kind: Kind = Kind.COUNT) -> Limit:
    return Limit(
        key=key,
        section="2",
        kind=kind,
        compare=Compare.AT_LEAST,
        scope=Scope.HOST,
        guide=str(wanted),
        wanted=wanted,
        why=why,
        on=(Role.HOST,),
        settings=host_sysctl(key),
        reads=(sysctl(key), *effects),
        remedy=PREPARE_HOST,
    )


ROWS = (
    _netns(
        "net.core.somaxconn",
        65535,
        "the ceiling of every listen backlog in this namespace, read once at listen(); a unix "
        "listener's backlog is this value alone",
        fresh_socket("backlog"),
    ),
    _host(
        "net.core.netdev_max_backlog",
        65535,
        "packets waiting per CPU between the card and the stack; drops are column 2 of "
        "softnet_stat",
    ),
    _netns(
        "net.ipv4.tcp_max_syn_backlog",
        65535,
        "half-open connections a listener keeps; counts only where SYN cookies are off",
    ),
    _netns(
        "net.ipv4.tcp_syncookies",
        1,
        "without cookies a SYN flood fills the SYN queue, and real clients are refused",
        kind=Kind.FLAG,
        compare=Compare.EQUAL,
    ),
    _netns(
        "net.ipv4.ip_local_port_range",
        (10000, 65535),
        "ports of outgoing connections: to Telegram, and to replicas over TCP links",
        Read(Reader.FRESH_SOCKET, "ports", Depth.EFFECTIVE, compare=Compare.WITHIN),
        kind=Kind.PORT_RANGE,
        compare=Compare.COVERS,
        guide="10000 65535",
    ),
    _netns(
        "net.ipv4.tcp_fin_timeout",
        15,
        "how long an orphaned FIN-WAIT-2 socket stays; TIME-WAIT always lasts 60 s",
        fresh_socket("linger2"),
        kind=Kind.SECONDS,
        compare=Compare.EQUAL,
    ),
    _netns(
        "net.ipv4.tcp_tw_reuse",
        1,
        "an outgoing connection may take over a port in TIME-WAIT",
        kind=Kind.FLAG,
        compare=Compare.EQUAL,
    ),
    _netns(
        "net.ipv4.tcp_max_tw_buckets",
        2000000,
        "TIME-WAIT sockets kept; above this number they are destroyed at once, and late segments "
        "reach other connections",
    ),
    _netns(
        "net.ipv4.tcp_keepalive_time",
        300,
        "idle seconds before the first probe, for sockets that ask for keepalive and do not set "
        "their own",
        fresh_socket("keepidle"),
        kind=Kind.SECONDS,
        compare=Compare.EQUAL,
    ),
    _netns(
        "net.ipv4.tcp_keepalive_intvl",
        30,
        "seconds between probes",
        fresh_socket("keepintvl"),
        kind=Kind.SECONDS,
        compare=Compare.EQUAL,
    ),
    _netns(
        "net.ipv4.tcp_keepalive_probes",
        5,
        "unanswered probes before the connection is dropped",
        fresh_socket("keepcnt"),
        compare=Compare.EQUAL,
    ),
    _host(
        "net.core.rmem_default",
        262144,
        "initial receive buffer of UDP and unix sockets; TCP does not use it",
        fresh_socket("udp_rcvbuf"),
        kind=Kind.BYTES,
    ),
    _host(
        "net.core.wmem_default",
        262144,
        "initial send buffer of UDP and unix sockets; on unix links it bounds what HAProxy can "
        "hand a replica at once",
        fresh_socket("udp_sndbuf"),
        kind=Kind.BYTES,
    ),
    _host(
        "net.core.rmem_max",
        16777216,
        "the most a program may ask for with SO_RCVBUF; Telemt asks for 262144",
        fresh_socket("rcvbuf_max"),
        kind=Kind.BYTES,
    ),
    _host(
        "net.core.wmem_max",
        16777216,
        "the most a program may ask for with SO_SNDBUF; Telemt asks for 262144",
        fresh_socket("sndbuf_max"),
        kind=Kind.BYTES,
    ),
    _netns(
        "net.ipv4.tcp_rmem",
        (4096, 131072, 16777216),
        "receive buffer of a TCP socket: minimum, initial, and the most autotuning may reach",
        fresh_socket("rcvbuf", part=1),
        kind=Kind.TRIPLE,
        guide="4096 87380 16777216",
        departs="kernels have used 131072 since 4.20; the guide's 87380 would lower it",
    ),
    _netns(
        "net.ipv4.tcp_wmem",
        (4096, 65536, 16777216),
        "send buffer of a TCP socket: minimum, initial, and the most autotuning may reach",
        fresh_socket("sndbuf", part=1),
        kind=Kind.TRIPLE,
        guide="4096 65536 16777216",
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
