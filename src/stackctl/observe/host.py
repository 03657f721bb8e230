"""The machine: the facts that a plan is made against, and the host's rows. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from ipaddress import ip_address, ip_interface, ip_network

from stackctl.collector.answer import Card, Daemon, Host, Tracking, Unread
from stackctl.errors import EngineError
from stackctl.limits import INFINITY, Limit, Read, Value
from stackctl.limits.values import compact
from stackctl.observe.observed import ParseError, reader
from stackctl.observe.process import parse_limits, parse_pids
from stackctl.observe.snapshot import Snapshot
from stackctl.plan import HostFacts

CAP_SYS_RESOURCE = 24
"""Number of the capability that lets a process raise a hard limit (linux/capability.h)."""

INITIAL_USER_NAMESPACE = "user:[4026531837]"
"""The initial user namespace has a fixed inode. CAP_SYS_RESOURCE raises hard limits only there."""

CONGESTION = "net.ipv4.tcp_congestion_control"

_ROOT = 0xFFFFFFFF
"""TC_H_ROOT: the parent of a card's root qdisc."""

_MULTIQUEUE = frozenset({"mq", "mqprio"})
_NO_LIMIT = frozenset({"unlimited", "infinity", "-1"})
_DOMAINS = ("*", "root")
"""All users: PAM's wildcard leaves root out."""

_ULIMITS = {"nofile": "Max open files", "nproc": "Max processes"}


def host_facts(
    host: Host, engine_version: str, networks: Mapping[str, Sequence[str]], stack: str
) -> HostFacts:
    """The facts that a plan is made against.

    Args:
        host: the machine as the collector saw it.
        engine_version: the engine's.
        networks: IPv4 subnets of the engine's networks, by the stack that owns them.
        stack: this stack's name, whose own network does not count as taken.
    """
    sysctls = {
        key: " ".join(reading.value.split())
        for key, reading in host.sysctls.items()
        if reading.value is not None
    }
    own = networks.get(stack, ())
    return HostFacts(
        ceilings=ceilings(host.engine.starter, sysctls),
        choices=choices(host, sysctls),
        sysctls=sysctls,
        subnets_taken=(
            *(net for owner, nets in networks.items() if owner != stack for net in nets),
            *_attached(host.cards.value or (), own),
        ),
        own_subnet=own[0] if own else "",
        engine=engine_version,
        kernel=host.kernel,
        memory_bytes=host.memory.value or 0,
        tracked=tracked(host.tracking),
        conntrack_used=conntrack_used(host.tracking),
    )


def tracked(tracking: Tracking) -> bool | None:
    """Whether the host's own connections are tracked; None where the collector could not tell.

    The collector tries a connection on loopback. A rule may track everything except loopback, so
    "untracked" counts only where the namespace's conntrack table is empty as well.
    """
    if 1 in (tracking.ipv4.value, tracking.ipv6.value):
        return True
    if tracking.ipv4.error.startswith("ENOPROTOOPT"):
        return False
    empty = (tracking.count.value or "").strip() == "0"
    return False if tracking.ipv4.value == 0 and empty else None


def conntrack_used(tracking: Tracking) -> int:
    """Entries in the host's conntrack table; 0 where there is none, or it could not be read."""
    text = (tracking.count.value or "").strip()
    return int(text) if text.isdigit() else 0


def _attached(cards: Sequence[Card], own: Sequence[str]) -> tuple[str, ...]:
    """IPv4 networks of the host's cards, without loopback and the stack's own bridge."""
    mine = [ip_network(net) for net in own]
    found = []
    for card in cards:
        for text in card.addresses:
            network = ip_interface(text).network
            if network.version == 4 and not network.is_loopback and network not in mine:
                found.append(str(network))
    return tuple(dict.fromkeys(found))


def ceilings(starter: Daemon, sysctls: Mapping[str, str]) -> dict[str, int]:
    """The highest hard limits a container can be given, by ulimit name.

    With CAP_SYS_RESOURCE in the initial user namespace, the process that starts containers may
    raise hard limits, nofile up to fs.nr_open. Without it, its own hard limits are the ceilings.
    """
    nr_open = sysctls.get("fs.nr_open", "")
    if may_raise(starter):
        return {"nofile": int(nr_open) if nr_open.isdigit() else INFINITY, "nproc": INFINITY}
    own = parse_limits(starter.limits.value or "")
    return {name: own[row][1] for name, row in _ULIMITS.items() if row in own}


def may_raise(starter: Daemon) -> bool:
    """Whether the process that starts containers may raise hard limits."""
    match = re.search(r"CapEff:\s*([0-9a-f]+)", starter.status.value or "")
    capable = bool(match and int(match[1], 16) >> CAP_SYS_RESOURCE & 1)
    return capable and starter.user_namespace.value == INITIAL_USER_NAMESPACE


def choices(host: Host, sysctls: Mapping[str, str]) -> dict[str, tuple[str, ...]]:
    """Congestion controls a container may be given, the host's own first."""
    allowed = (host.allowed.value or "").split()
    current = sysctls.get(CONGESTION, "")
    ordered = sorted(allowed, key=lambda word: word != current)
    return {CONGESTION: tuple(ordered)} if ordered else {}


def listening_ports(host: Host, address: str) -> frozenset[int]:
    """TCP ports of the host that collide with a listener on `address` ("" for all addresses).

    Raises:
        EngineError: they could not be read.
    """
    if host.listening.value is None:
        raise EngineError(
            f"the host's listeners could not be read: {host.listening.error}",
            "run the command again; if it fails again, report this message",
        )
    ports = set()
    every = not address or ip_address(address).is_unspecified
    for theirs, port in host.listening.value:
        other = ip_address(theirs)
        if every or other.is_unspecified or other == ip_address(address):
            ports.add(port)
    return frozenset(ports)


def parse_login(texts: Sequence[str], item: str) -> tuple[int, int]:
    """(soft, hard) that every login gets: the lower of what `*` and root are given.

    Args:
        texts: limits.conf and then limits.d/*.conf in the order PAM reads them; the last line for
            a domain wins. Lines for single users and groups are left out.
        item: such as "nofile".

    Raises:
        ParseError: nothing sets it for one of the two domains.
    """
    found: dict[tuple[str, str], int] = {}
    for text in texts:
        for line in text.splitlines():
            words = line.partition("#")[0].split()
            if len(words) != 4 or words[0] not in _DOMAINS or words[2] != item:
                continue
            value = _login_number(words[3])
            if value is None:
                continue  # PAM skips lines that it cannot parse
            for side in ("soft", "hard") if words[1] == "-" else (words[1],):
                found[words[0], side] = value
    lowest = []
    for side in ("soft", "hard"):
        missing = [domain for domain in _DOMAINS if (domain, side) not in found]
        if missing:
            raise ParseError(f"nothing sets {side} {item} for {' and '.join(missing)}")
        lowest.append(min(found[domain, side] for domain in _DOMAINS))
    return lowest[0], lowest[1]


def _login_number(word: str) -> int | None:
    if word in _NO_LIMIT:
        return INFINITY
    if not word.isascii() or not word.isdigit() or len(word) > 20:
        return None
    return min(int(word), INFINITY)


@reader
def engine_rlimit(snapshot: Snapshot, target: str, read: Read, limit: Limit) -> tuple[Value, str]:
    """The hard limit of the process that starts containers."""
    starter = snapshot.host.engine.starter
    rows = parse_limits(starter.limits.get(f"/proc/{starter.pid}/limits"))
    if read.arg not in rows:
        raise ParseError(f"/proc/{starter.pid}/limits: no row {read.arg!r}")
    hard = rows[read.arg][1]
    shown = "unlimited" if hard == INFINITY else str(hard)
    return hard, f"/proc/{starter.pid}/limits of {starter.comm}: {read.arg} hard {shown}"


@reader
def engine_cgroup(snapshot: Snapshot, target: str, read: Read, limit: Limit) -> tuple[Value, str]:
    """The lowest pids.max over the cgroups of the engine's processes and their ancestors."""
    engine = snapshot.host.engine
    many = sum(daemon.comm == "dockerd" for daemon in engine.daemons)
    # With several engines on a machine nothing tells which dockerd is ours. The starter is ours.
    counted = [engine.starter, *(engine.daemons if many <= 1 else ())]
    lowest, source = min(_lowest(daemon, read.arg) for daemon in counted)
    if many > 1:
        source += f" ({many} dockerd run; only the process that starts containers is counted)"
    return lowest, source


def _lowest(daemon: Daemon, name: str) -> tuple[int, str]:
    what = f"{name} of {daemon.comm}"
    found = []
    for reading in (daemon.cgroup.limit, *daemon.cgroup.ancestors):
        text = reading.get(what)
        found.append((parse_pids(text), f"{what}: {text.strip()} in {reading.path or '?'}"))
    return min(found, key=lambda pair: pair[0])


@reader
def login_limits(snapshot: Snapshot, target: str, read: Read, limit: Limit) -> tuple[Value, str]:
    """What limits.conf and limits.d give every login, including root's."""
    # A missing limits.conf means a machine without PAM limits, not an unreadable one.
    there = [file for file in snapshot.host.login if not file.error.startswith("ENOENT")]
    got = parse_login([file.get(file.path or "limits.conf") for file in there], read.arg)
    return got, f"limits.conf and limits.d: {read.arg} {compact(got)} for * and root"


@reader
def nic_qdisc(snapshot: Snapshot, target: str, read: Read, limit: Limit) -> tuple[Value, str]:
    """The qdisc of the card that carries the default route."""
    cards = [card for card in snapshot.host.cards.get("network cards") if card.default_route]
    if not cards:
        raise Unread("no network card carries a default route")
    name, qdiscs = cards[0].name, cards[0].qdiscs
    roots = [qdisc.kind for qdisc in qdiscs if qdisc.parent == _ROOT]
    if not roots:
        raise Unread(f"{name} carries the default route and has no qdisc")
    if roots[0] not in _MULTIQUEUE:
        return roots[0], f"{name}: root qdisc {roots[0]}"
    # A card with several queues has one qdisc for each queue; the sysctl sets those.
    leaves = sorted({qdisc.kind for qdisc in qdiscs if qdisc.parent != _ROOT})
    if len(leaves) != 1:
        raise Unread(
            f"{name}: the qdiscs of its queues differ: {roots[0]} with "
            f"{', '.join(leaves) or 'none'}"
        )
    return leaves[0], f"{name}: {roots[0]} with {leaves[0]} on each queue"
