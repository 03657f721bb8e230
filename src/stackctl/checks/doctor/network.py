"""Source ports, the client's address, and connection tracking."""

from __future__ import annotations

from typing import Any

from stackctl.checks.doctor.model import Evidence, Lines
from stackctl.checks.finding import Finding, Verdict
from stackctl.collector.answer import Daemon, DockerProxy, Engines, Reading, Told, Unread
from stackctl.limits.rows import PREPARE_HOST
from stackctl.plan.sizes import PORT_SHARE, fair_share, usable_ports

PORTS = "net.ipv4.ip_local_port_range"
COUNT = "net.netfilter.nf_conntrack_count"
TABLE_SIZE = "net.netfilter.nf_conntrack_max"
FULL = 0.8
"""Share of the conntrack table: above it there is no room for a wave of reconnects."""

TRANSLATED_PORTS = 64_512
"""Source NAT of a bridge uses ports 1024 to 65535."""


def ports(seen: Evidence) -> Lines:
    """Source ports: of HAProxy towards a replica, and of the replicas towards data centres."""
    yield _links(seen)
    yield _outward(seen)


def _links(seen: Evidence) -> Finding:
    stack = seen.stack
    if stack.link == "unix":
        return Finding("ports", Verdict.OK, "unix links take no source ports")
    each = fair_share(stack.connections, stack.replicas)
    # On a bridge HAProxy's namespace has its own port range; on the host's network, the host's.
    ports = seen.sizes.link_ports
    usable = _host_range(seen) * ports if stack.network == "host" else seen.sizes.ports_per_link
    says = (
        f"tcp links need {each:,} source ports towards each of {stack.replicas} replicas; "
        f"{'this host' if stack.network == 'host' else 'a link'} has {usable:,}"
    )
    refused = each * 100 > stack.port_share * seen.sizes.ports_per_link
    if each > usable or refused:
        way = f"or {PREPARE_HOST}, " if stack.network == "host" else ""
        needed = -(-stack.connections * 100 // (usable * stack.port_share))
        remedy = f"set `link: unix`, {way}more `link_ports`, or `replicas: {needed}` or more"
        if refused:
            says += f"; the plan uses at most {stack.port_share} % of them (port_share)"
        return Finding("ports", Verdict.SHORT, says, remedy)
    if each > PORT_SHARE * usable:
        says += f"; above {PORT_SHARE:.0%} of them every connect() has to search for a free port"
        return Finding("ports", Verdict.ADVICE, says, "set `link: unix`, or more `link_ports`")
    return Finding("ports", Verdict.OK, says)


def _outward(seen: Evidence) -> Finding:
    stack = seen.stack
    if stack.telemt.middle_proxy:
        says = "towards Telegram the middle proxies' pool carries many clients on one connection"
        return Finding("ports", Verdict.OK, says)
    usable = _host_range(seen) if stack.network == "host" else TRANSLATED_PORTS
    says = (
        f"towards Telegram each client is one connection from this machine's address, with "
        f"{usable:,} ports for each data centre's address; {stack.connections:,} clients"
    )
    if stack.connections <= usable:
        return Finding("ports", Verdict.OK, says)
    wider = seen.sizes.ports_per_link > usable
    return Finding(
        "ports",
        Verdict.ADVICE,
        f"{says}, of which at most {usable:,} can use one data centre's address",
        (f"widen {PORTS} ({PREPARE_HOST}), " if wider else "")
        + "set `telemt.middle_proxy: true`, or spread the clients over several machines",
    )


def _host_range(seen: Evidence) -> int:
    values = seen.sysctl(PORTS)
    if len(values) != 2:
        raise Unread(f"{PORTS} is not a pair")
    return usable_ports(values[0], values[1])


def addresses(seen: Evidence) -> Lines:
    """Whether HAProxy sees the client's own address."""
    stack = seen.stack
    if stack.network == "host":
        says = "on the host's network every client arrives under its own address"
        yield Finding("addresses", Verdict.OK, says)
        return
    if seen.security_option("rootless"):
        yield Finding(
            "addresses",
            Verdict.SHORT,
            "a rootless engine forwards published ports itself: all clients arrive with the "
            "engine's address, and per-address limits count them as one",
            "use an engine that runs as root",
        )
        return
    machine = seen.machine("whether the userland proxy is on")
    yield _published(seen, machine.engine, machine.netns)


def _published(seen: Evidence, engine: Engines, here: str) -> Finding:
    port = seen.stack.listen.port
    proxies = [proxy for proxy in engine.proxies if _lives(proxy.netns, here)]
    mine = sum(_host_port(proxy) == str(port) for proxy in proxies)
    daemons = [
        (daemon, daemon.told)
        for daemon in engine.daemons
        if daemon.told and _lives(daemon.told.netns, here)
    ]
    rules, proxied = set(), set()
    unread: Unread | None = None
    for daemon, told in daemons:
        # A running docker-proxy is better evidence than its daemon's settings.
        runs = any(proxy.parent == daemon.pid for proxy in proxies)
        try:
            settings = _settings(daemon, told)
        except Unread as error:
            if runs:
                proxied.add(True)
            else:
                unread = error
            continue
        rules.add(bool(settings.get("iptables", True)))
        proxied.add(runs or bool(settings.get("userland-proxy", True)))
    if rules == {False}:
        return Finding(
            "addresses",
            Verdict.SHORT,
            "the engine writes no firewall rules (iptables: false): every client goes through its "
            "userland proxy and arrives with the bridge's address",
            "let the engine write firewall rules, or set `network: host`",
        )
    if mine:
        return _proxied(f"{mine} docker-proxy run for this stack's port {port}")
    if unread:
        raise unread
    if not daemons and not proxies:
        raise Unread("whether the userland proxy is on: no dockerd or docker-proxy was found")
    if len(proxied) > 1 or len(rules) > 1:
        raise Unread(
            f"whether the userland proxy is on: {len(daemons)} dockerd run, and they differ"
        )
    if proxied == {False}:
        says = "the userland proxy is off: clients of the published port keep their address"
        return Finding("addresses", Verdict.OK, says)
    how = f"{len(proxies)} docker-proxy run" if proxies else "no setting of the engine turns it off"
    return _proxied(f"the userland proxy is on ({how})")


def _lives(netns: Reading[str], here: str) -> bool:
    """Whether it can be our engine's: the collector runs in our engine's network namespace."""
    return netns.value in (None, here)


def _host_port(proxy: DockerProxy) -> str:
    words = list(proxy.arguments.value or ())
    at = words.index("-host-port") + 1 if "-host-port" in words else len(words)
    return words[at] if at < len(words) else ""


def _proxied(seen_as: str) -> Finding:
    return Finding(
        "addresses",
        Verdict.ADVICE,
        f"{seen_as}: clients on this machine's 127.0.0.1 and clients over IPv6 arrive with the "
        "bridge's address; others keep theirs",
        'set `network: host`, or "userland-proxy": false in daemon.json (a bridge then takes IPv4 '
        "alone)",
    )


def _settings(daemon: Daemon, told: Told) -> dict[str, Any]:
    """A dockerd's settings, by the keys of daemon.json; its flags win.

    Raises:
        Unread: its file or its arguments could not be read. A missing file is no error.
    """
    absent = told.file.error.startswith("ENOENT")
    settings = {} if absent else dict(told.file.get(f"daemon.json of dockerd {daemon.pid}"))
    for flag in told.flags.get(f"arguments of dockerd {daemon.pid}"):
        name, equals, word = flag.removeprefix("--").partition("=")
        if name in {"userland-proxy", "iptables"}:
            settings[name] = not equals or word.lower() not in {"false", "0", "f"}
    return settings


def conntrack(seen: Evidence) -> Lines:
    """The conntrack table against the entries that the clients take."""
    stack, sizes = seen.stack, seen.sizes
    on_host = stack.network == "host"
    if on_host and seen.host and seen.host.tracked is False:
        yield Finding(
            "conntrack",
            Verdict.OK,
            "no limit here: a test connection was not tracked, so clients on the host's network "
            "take no entry",
        )
        return
    most = seen.sysctl(TABLE_SIZE)[0]
    count = seen.numbers(lambda host: host.tracking.count, COUNT)[0]
    why = "a published port is translated, so clients are tracked"
    if on_host:
        tried = seen.host.tracked if seen.host else None
        why = "a test connection was tracked" if tried else "clients may be tracked here"
    says = (
        f"{why}: {stack.connections:,} clients make {sizes.conntrack_entries:,} entries in the "
        f"host's namespace; the table has room for {most:,} and holds {count:,} now "
        f"({count / max(1, most):.0%})"
    )
    if sizes.conntrack_entries > most:
        yield Finding(
            "conntrack", Verdict.SHORT, f"{says}: clients beyond it are dropped", PREPARE_HOST
        )
    elif max(sizes.conntrack_entries, count) > FULL * most:
        yield Finding("conntrack", Verdict.ADVICE, says, PREPARE_HOST)
    else:
        yield Finding("conntrack", Verdict.OK, says)
