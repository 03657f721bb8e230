"""Section 4 of the guide: HAProxy in front, and Telemt's own numbers behind it."""

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
from stackctl.limits.rows import haproxy_cfg, haproxy_file

_RERENDER = "render and start again (`stackctl up`): the live process does not run the plan's value"


def _haproxy(
    key: str,
    why: str,
    settings: tuple[Setting, ...],
    *reads: Read,
    guide: str = "",
    wanted: int | str | None = None,
    derive: str = "",
    departs: str = "",
    kind: Kind = Kind.COUNT,
    compare: Compare = Compare.EQUAL,
    on: Role = Role.HAPROXY,
    scope: Scope = Scope.HAPROXY,
    link: str = "",
    ceiling: str = "",
    own_number: bool = False,
    remedy: str = _RERENDER,
) -> Limit:
    return Limit(
        key=key,
        section="4",
        kind=kind,
        compare=compare,
        scope=scope,
        guide=guide,
        wanted=wanted,
        derive=derive,
        why=why,
        departs=departs,
        on=(on,),
        settings=settings,
        reads=reads,
        remedy=remedy,
        link=link,
        ceiling=ceiling,
        own_number=own_number,
    )


def _info(field: str) -> Read:
    return Read(Reader.HAPROXY_INFO, field, Depth.EFFECTIVE)


def _timeout(name: str, guide: str, seconds: int, why: str, *effects: Read) -> Limit:
    return _haproxy(
        f"haproxy.timeout.{name}",
        why,
        haproxy_cfg("defaults", f"timeout {name} {{}}s"),
        haproxy_file(f"timeout {name}"),
        *effects,
        guide=guide,
        wanted=seconds,
        kind=Kind.SECONDS,
    )


def _keepalive(side: str, part: str, prop: str, wanted: int, why: str) -> Limit:
    client = side == "cli"
    return _haproxy(
        f"haproxy.{side}tcpka_{part}",
        why,
        haproxy_cfg("defaults", f"{side}tcpka-{part} {{}}" + ("" if part == "cnt" else "s")),
        Read(Reader.HAPROXY_SOCKET, f"{'client' if client else 'server'}.{prop}", Depth.EFFECTIVE),
        guide=f"option {side}tcpka",
        wanted=wanted,
        departs="the guide leaves the number to the kernel: 300 + 5 x 30 is 450 s, and the guide "
        "promises less than five minutes; 120 + 5 x 30 is 270 s"
        if part == "idle"
        else "",
        kind=Kind.COUNT if part == "cnt" else Kind.SECONDS,
        link="" if client else "tcp",
    )


ROWS = (
    _haproxy(
        "haproxy.maxconn",
        "connections the whole process takes; without it HAProxy derives the number from nofile",
        haproxy_cfg("global", "maxconn {}"),
        _info("Maxconn"),
        _info("Hard_maxconn"),
        guide="commented out",
        derive="global_maxconn",
        departs="explicit: a derived maxconn follows whatever nofile the container got",
    ),
    _haproxy(
        "haproxy.maxsock",
        "descriptors that HAProxy computes it needs; above its soft nofile it drops clients that "
        "it has accepted",
        (),
        _info("Maxsock"),
        derive="haproxy_descriptors",
        compare=Compare.AT_MOST,
        departs="Not in the guide: two a client, plus threads, listeners and checks",
    ),
    _haproxy(
        "haproxy.maxpipes",
        "pipes for splicing, two descriptors each; without it `option splice-auto` takes up to "
        "maxconn/4, and a full process runs out of descriptors",
        haproxy_cfg("global", "maxpipes {}"),
        _info("Maxpipes"),
        derive="pipes",
        departs="Not in the guide: 0, or one for every fourth connection with `splice: auto`",
        link="tcp",
    ),
    _haproxy(
        "haproxy.nbthread",
        "HAProxy's threads; by default they follow CPU affinity, not a cgroup's quota, so the "
        "number is explicit",
        haproxy_cfg("global", "nbthread {}"),
        _info("Nbthread"),
        derive="threads",
        departs="Not in the guide: one for each 50,000 connections, at least two",
    ),
    _haproxy(
        "haproxy.bufsize",
        "bytes of a stream's buffer; idle streams hold none",
        haproxy_cfg("global", "tune.bufsize {}"),
        haproxy_file("tune.bufsize"),
        Read(Reader.HAPROXY_POOL, "buffer", Depth.EFFECTIVE),
        guide="16384",
        wanted=16384,
        kind=Kind.BYTES,
    ),
    _haproxy(
        "haproxy.maxaccept",
        "connections taken from the accept queue in one go",
        haproxy_cfg("global", "tune.maxaccept {}"),
        haproxy_file("tune.maxaccept"),
        guide="64",
        wanted=64,
    ),
    _haproxy(
        "haproxy.frontend_maxconn",
        "at this number HAProxy stops accepting, and the accept queue fills",
        haproxy_cfg("frontend", "maxconn {}"),
        Read(Reader.HAPROXY_STAT, "frontend.slim", Depth.EFFECTIVE),
        guide="250000",
        derive="frontend_maxconn",
        departs="the stack's own number: `connections`",
    ),
    _haproxy(
        "haproxy.backlog",
        "a burst of clients waits in the accept queue; each listener has its own, clamped to "
        "somaxconn at listen()",
        haproxy_cfg("defaults", "backlog {}"),
        Read(Reader.LISTENER, "client", Depth.EFFECTIVE),
        wanted=65535,
        departs="Not in the guide: without it the backlog follows maxconn",
        compare=Compare.AT_LEAST,
        scope=Scope.LISTENER,
        ceiling="net.core.somaxconn",
        remedy="somaxconn is read at listen(): recreate the container after raising it "
        "(`stackctl up`)",
    ),
    _timeout("connect", "5s", 5, "how long a replica may take to accept"),
    _timeout(
        "client",
        "1h",
        3600,
        "an idle client is closed after this; mobile clients sleep for long",
        Read(Reader.HAPROXY_SESSION, "client", Depth.EFFECTIVE),
    ),
    _timeout(
        "server",
        "1h",
        3600,
        "an idle connection to a replica is closed after this",
        Read(Reader.HAPROXY_SESSION, "server", Depth.EFFECTIVE),
    ),
    _timeout(
        "client-fin", "10s", 10, "a client that vanished after a half-close is closed after this"
    ),
    _timeout(
        "server-fin", "10s", 10, "a replica that vanished after a half-close is closed after this"
    ),
    _keepalive("cli", "idle", "keepidle", 120, "idle seconds before a dead client is probed"),
    _keepalive("cli", "intvl", "keepintvl", 30, "seconds between probes of a silent client"),
    _keepalive("cli", "cnt", "keepcnt", 5, "unanswered probes before a client is dropped"),
    _keepalive("srv", "idle", "keepidle", 120, "idle seconds before a dead replica is probed"),
    _keepalive("srv", "intvl", "keepintvl", 30, "seconds between probes of a silent replica"),
    _keepalive("srv", "cnt", "keepcnt", 5, "unanswered probes before a replica link is dropped"),
    _haproxy(
        "haproxy.server_maxconn",
        "connections one replica is given; below Telemt's max_connections, so that HAProxy decides "
        "about a full replica, and Telemt drops nobody silently",
        haproxy_cfg("default-server", "maxconn {}"),
        Read(Reader.HAPROXY_STAT, "server.slim", Depth.EFFECTIVE),
        guide="250000",
        derive="server_maxconn",
        on=Role.LINK,
        scope=Scope.LINK,
        departs="divided over the replicas, with room to lose one",
    ),
    _haproxy(
        "haproxy.check_inter",
        "seconds between health checks of a replica",
        haproxy_cfg("default-server", "inter {}s"),
        haproxy_file("inter"),
        guide="5s",
        wanted=5,
        kind=Kind.SECONDS,
    ),
    _haproxy(
        "haproxy.check",
        "a replica whose admission gate is closed still accepts TCP: only a 200 from "
        "/v1/health/ready shows that it serves",
        haproxy_cfg("default-server", "check"),
        Read(Reader.HAPROXY_STAT, "server.check_status", Depth.EFFECTIVE),
        guide="check",
        wanted="L7OK",
        departs="a plain check proves layer 4 only; ours asks for Telemt's readiness over HTTP",
        kind=Kind.WORD,
        on=Role.LINK,
        scope=Scope.LINK,
        remedy="see why this replica is not ready: `stackctl status` and `docker logs` of it",
    ),
    _haproxy(
        "haproxy.proxy_protocol",
        "without it, or with it on one side only, every client has HAProxy's address or is refused",
        (
            *haproxy_cfg("default-server", "send-proxy-v2"),
            Setting(Place.TELEMT_TOML, "server", "proxy_protocol"),
        ),
        Read(Reader.LINK_ADDRESS, "", Depth.EFFECTIVE),
        guide="send-proxy-v2",
        wanted=1,
        kind=Kind.FLAG,
        on=Role.LINK,
        scope=Scope.LINK,
        remedy="PROXY protocol must be on in haproxy.cfg and in telemt.toml, and HAProxy's address "
        "in proxy_protocol_trusted_cidrs: render and start again (`stackctl up`)",
    ),
    _haproxy(
        "haproxy.client_address",
        "limits per address, bans and logs are worthless when every client looks like one",
        (),
        Read(Reader.CLIENT_ADDRESS, "", Depth.EFFECTIVE),
        wanted=1,
        kind=Kind.FLAG,
        departs="Not in the guide",
        remedy="listen on an address that is not loopback, use `network: host`, or switch the "
        "userland proxy off in the engine (`userland-proxy: false`)",
    ),
    _haproxy(
        "haproxy.handshake",
        "listeners, links and limits may all be right while no user gets through: a client's whole "
        "handshake at the published address must end with a data centre's answer",
        (),
        Read(Reader.HANDSHAKE, "published", Depth.EFFECTIVE),
        wanted="answered",
        kind=Kind.WORD,
        departs="Not in the guide",
        remedy="`stackctl probe` shows the hop it ends at, for every user and mode",
    ),
    _haproxy(
        "telemt.handshake",
        "one replica with other secrets, another domain or no way out fails its share of the users",
        (),
        Read(Reader.HANDSHAKE, "replica", Depth.EFFECTIVE),
        wanted="answered",
        kind=Kind.WORD,
        departs="Not in the guide",
        on=Role.LINK,
        scope=Scope.LINK,
        remedy="`stackctl probe` shows the hop it ends at, for every user and mode",
    ),
    _haproxy(
        "telemt.max_connections",
        "Telemt's default is 10000: at the cap its accept loop waits, then drops",
        (Setting(Place.TELEMT_TOML, "server", "max_connections"),),
        Read(Reader.TELEMT_CONFIG, "server.max_connections", Depth.DECLARED),
        derive="telemt_max_connections",
        # A replica may be kept below its share, for its memory: the plan says how many connections
        # that holds.
        own_number=True,
        departs="Not in the guide",
        on=Role.TELEMT,
        scope=Scope.TELEMT,
    ),
    _haproxy(
        "telemt.listen_backlog",
        "Telemt's default is 1024, so somaxconn 65535 alone does nothing; on a unix link somaxconn "
        "alone decides. A full TCP queue delays a client, a full unix queue refuses it at once",
        (Setting(Place.TELEMT_TOML, "server", "listen_backlog"),),
        Read(Reader.LISTENER, "replica", Depth.EFFECTIVE),
        wanted=65535,
        departs="Not in the guide",
        compare=Compare.AT_LEAST,
        on=Role.TELEMT,
        scope=Scope.LISTENER,
        ceiling="net.core.somaxconn",
        remedy="somaxconn is read at listen(): recreate the container after raising it "
        "(`stackctl up`)",
    ),
    _haproxy(
        "haproxy.link_ports",
        "one source address has one range of ports for each port of a replica; with more than half "
        "used, every connect() searches for a free one",
        (),
        Read(Reader.HAPROXY_SPREAD, "", Depth.DECLARED),
        derive="link_ports",
        departs="Not in the guide, whose one server on one port ends at 55,536 connections",
        link="tcp",
    ),
    _haproxy(
        "telemt.link_ports",
        "HAProxy spreads clients over these ports; one that the replica does not listen on refuses "
        "its share of them",
        (),
        Read(Reader.LISTENER, "ports", Depth.EFFECTIVE),
        derive="link_ports",
        departs="Not in the guide",
        on=Role.TELEMT,
        scope=Scope.TELEMT,
        link="tcp",
        remedy="render and start again (`stackctl up`), and see `docker logs` of this replica",
    ),
    _haproxy(
        "telemt.ready",
        "a replica whose admission gate is closed still accepts TCP; only readiness shows that "
        "users get through",
        (),
        Read(Reader.TELEMT_READY, "", Depth.EFFECTIVE),
        wanted="ready",
        kind=Kind.WORD,
        departs="Not in the guide",
        on=Role.TELEMT,
        scope=Scope.TELEMT,
        remedy="see what it waits for: `docker logs` of this replica",
    ),
)
