"""The probe's facts of the host, as the plan wants them. Pure, but for asking the engine."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from ipaddress import ip_address, ip_interface, ip_network
from typing import Any

from stackctl.engine import Engine
from stackctl.errors import EngineError
from stackctl.limits import INFINITY
from stackctl.observe.limitfile import parse_limits
from stackctl.observe.model import Snapshot
from stackctl.plan import HostFacts

CAP_SYS_RESOURCE = 24
"""Number of the capability that lets a process raise a hard limit (linux/capability.h)."""

INITIAL_USER_NAMESPACE = "user:[4026531837]"
"""The kernel's fixed inode: only there does CAP_SYS_RESOURCE raise a hard limit."""

CONGESTION = "net.ipv4.tcp_congestion_control"

_ULIMITS = {"nofile": "Max open files", "nproc": "Max processes"}


def host_facts(snapshot: Snapshot, engine: Engine, stack: str) -> HostFacts:
    """What the plan is made against.

    Args:
        snapshot: a probe run.
        engine: for its version and networks.
        stack: this stack's name: its own network does not count as taken.
    """
    facts = snapshot.facts
    sysctls = {
        key: " ".join(reading["text"].split())
        for key, reading in facts["sysctls"].items()
        if "text" in reading
    }
    subnets = engine.subnets()
    own = subnets.pop(stack, ())
    return HostFacts(
        ceilings=ceilings(facts["engine"]["starter"], sysctls),
        choices=choices(facts["congestion"], sysctls),
        sysctls=sysctls,
        subnets_taken=(
            *(net for nets in subnets.values() for net in nets),
            *_attached(facts["nics"], own),
        ),
        own_subnet=own[0] if own else "",
        engine=engine.version,
        kernel=str(facts["kernel"]),
        memory_bytes=int(facts["memory"].get("value", 0)),
        tracked=tracked(facts.get("tracking", {})),
        conntrack_used=conntrack_used(facts.get("tracking", {})),
    )


def tracked(tracking: Mapping[str, Mapping[str, Any]]) -> bool | None:
    """Whether the host's own connections are tracked; None where the probe could not tell.

    The probe's connections were on loopback. A rule may leave loopback out and track the rest, so
    they count as untracked only where the namespace's table is empty as well.
    """
    seen = {family: tracking.get(family, {}) for family in ("ipv4", "ipv6")}
    if any(reading.get("value") == 1 for reading in seen.values()):
        return True
    without = str(seen["ipv4"].get("error", "")).startswith("ENOPROTOOPT")
    if without:
        return False
    empty = tracking.get("count", {}).get("text", "").strip() == "0"
    return False if seen["ipv4"].get("value") == 0 and empty else None


def conntrack_used(tracking: Mapping[str, Mapping[str, Any]]) -> int:
    """Entries in the host's table; 0 where there is none, or it could not be read."""
    text = tracking.get("count", {}).get("text", "").strip()
    return int(text) if text.isdigit() else 0


def _attached(cards: Sequence[Mapping[str, Any]], own: Sequence[str]) -> tuple[str, ...]:
    """IPv4 networks the host's cards are in, less the stack's own bridge and loopback."""
    mine = [ip_network(net) for net in own]
    found = []
    for card in cards:
        for text in card["addresses"]:
            network = ip_interface(text).network
            if network.version == 4 and not network.is_loopback and network not in mine:
                found.append(str(network))
    return tuple(dict.fromkeys(found))


def ceilings(starter: Mapping[str, Any], sysctls: Mapping[str, str]) -> dict[str, int]:
    """The highest hard limits a container can be given, by ulimit name.

    With CAP_SYS_RESOURCE in the first user namespace the process that starts containers may raise
    hard limits, nofile up to fs.nr_open; without it, its own hard limits are the end.
    """
    nr_open = sysctls.get("fs.nr_open", "")
    if may_raise(starter):
        return {"nofile": int(nr_open) if nr_open.isdigit() else INFINITY, "nproc": INFINITY}
    text = starter["limits"].get("text", "")
    own = parse_limits(text)
    return {name: own[row][1] for name, row in _ULIMITS.items() if row in own}


def may_raise(starter: Mapping[str, Any]) -> bool:
    """Whether the process that starts containers may raise hard limits."""
    status = starter["status"]
    words = status.get("text", "") if isinstance(status, Mapping) else ""
    match = re.search(r"CapEff:\s*([0-9a-f]+)", words)
    capable = bool(match and int(match[1], 16) >> CAP_SYS_RESOURCE & 1)
    return capable and starter["user_namespace"].get("text") == INITIAL_USER_NAMESPACE


def choices(
    congestion: Mapping[str, Mapping[str, str]], sysctls: Mapping[str, str]
) -> dict[str, tuple[str, ...]]:
    """Congestion controls a container may be given, the host's own first."""
    allowed = congestion["allowed"].get("text", "").split()
    current = sysctls.get(CONGESTION, "")
    ordered = sorted(allowed, key=lambda word: word != current)
    return {CONGESTION: tuple(ordered)} if ordered else {}


def listening_ports(snapshot: Snapshot, host: str) -> frozenset[int]:
    """TCP ports of the host that a listener on `host` ("" for every address) would collide with.

    Raises:
        EngineError: they could not be read.
    """
    listening = snapshot.facts["listening"]
    if "value" not in listening:
        raise EngineError(
            f"the host's listeners could not be read: {listening.get('error')}",
            "run the command again; if it fails again, report this message",
        )
    ports = set()
    every = not host or ip_address(host).is_unspecified
    for address, port in listening["value"]:
        theirs = ip_address(address)
        if every or theirs.is_unspecified or theirs == ip_address(host):
            ports.add(int(port))
    return frozenset(ports)
