"""Readers of the machine: the engine that starts containers, logins, network cards."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from stackctl.limits import INFINITY, Limit, Read, Value
from stackctl.limits.values import compact
from stackctl.observe.evidence import reader
from stackctl.observe.limitfile import ParseError, parse_limits, parse_login, parse_pids
from stackctl.observe.model import Snapshot, Unread, text_of

_ROOT = 0xFFFFFFFF
"""TC_H_ROOT: the parent of a card's root qdisc."""

_MULTIQUEUE = frozenset({"mq", "mqprio"})


@reader
def engine_rlimit(snapshot: Snapshot, target: str, read: Read, limit: Limit) -> tuple[Value, str]:
    """The hard limit of the process that starts containers."""
    starter = snapshot.facts["engine"]["starter"]
    rows = parse_limits(text_of(starter["limits"], f"/proc/{starter['pid']}/limits"))
    if read.arg not in rows:
        raise ParseError(f"/proc/{starter['pid']}/limits: no row {read.arg!r}")
    hard = rows[read.arg][1]
    shown = "unlimited" if hard == INFINITY else str(hard)
    return hard, f"/proc/{starter['pid']}/limits of {starter['comm']}: {read.arg} hard {shown}"


@reader
def engine_cgroup(snapshot: Snapshot, target: str, read: Read, limit: Limit) -> tuple[Value, str]:
    """The lowest pids.max over the engine's processes and everything above them."""
    engine = snapshot.facts["engine"]
    daemons = list(engine["daemons"])
    many = sum(daemon["comm"] == "dockerd" for daemon in daemons)
    # Of several engines on one machine nothing tells here which daemon is ours; its starter is.
    counted = [engine["starter"], *(daemons if many <= 1 else ())]
    lowest, source = min(_lowest(daemon, read.arg) for daemon in counted)
    if many > 1:
        source += f" ({many} dockerd run; only the process that starts containers is counted)"
    return lowest, source


def _lowest(daemon: Mapping[str, Any], name: str) -> tuple[int, str]:
    group = daemon["cgroup"]
    what = f"{name} of {daemon['comm']}"
    readings = [group.get(name), *group["ancestors"]]
    found = []
    for reading in readings:
        text = text_of(reading, what)
        found.append((parse_pids(text), f"{what}: {text.strip()} in {reading.get('path', '?')}"))
    return min(found, key=lambda pair: pair[0])


@reader
def login_limits(snapshot: Snapshot, target: str, read: Read, limit: Limit) -> tuple[Value, str]:
    """What limits.conf and limits.d give every login, root's too."""
    files = snapshot.facts["login"]
    # No limits.conf at all is a machine without PAM limits, not one that could not be read.
    there = [file for file in files if not str(file.get("error", "")).startswith("ENOENT")]
    texts = [text_of(file, str(file.get("path", "limits.conf"))) for file in there]
    got = parse_login(texts, read.arg)
    return got, f"limits.conf and limits.d: {read.arg} {compact(got)} for * and root"


@reader
def nic_qdisc(snapshot: Snapshot, target: str, read: Read, limit: Limit) -> tuple[Value, str]:
    """The queue of the card that carries the default route."""
    if snapshot.facts.get("error"):
        raise Unread(f"network cards: {snapshot.facts['error']}")
    cards = [card for card in snapshot.facts["nics"] if card["default_route"]]
    if not cards:
        raise Unread("no network card carries a default route")
    name, qdiscs = cards[0]["name"], cards[0]["qdiscs"]
    roots = [qdisc["kind"] for qdisc in qdiscs if qdisc["parent"] == _ROOT]
    if not roots:
        raise Unread(f"{name} carries the default route and has no queue")
    if roots[0] not in _MULTIQUEUE:
        return str(roots[0]), f"{name}: root qdisc {roots[0]}"
    # A card with several queues has one qdisc a queue; the sysctl sets those.
    leaves = sorted({str(q["kind"]) for q in qdiscs if q["parent"] != _ROOT})
    if len(leaves) != 1:
        raise Unread(f"{name}: its queues differ: {roots[0]} with {', '.join(leaves) or 'none'}")
    return leaves[0], f"{name}: {roots[0]} with {leaves[0]} on each queue"
