"""HAProxy's and Telemt's own numbers, of the probe's answer. Pure."""

from __future__ import annotations

from collections.abc import Iterable

from stackctl.observe.counters import haproxy_counters
from stackctl.observe.haproxy import parse_info, parse_stat, servers
from stackctl.observe.limitfile import ParseError
from stackctl.observe.model import Snapshot, Unread, text_of
from stackctl.observe.replica import refused
from stackctl.plan import HAPROXY


def haproxy_readings(snapshot: Snapshot, unread: list[str]) -> dict[str, dict[str, int]]:
    """What HAProxy says of itself, and of each replica at that replica's place."""
    try:
        admin = snapshot.target(HAPROXY)["admin"]
        asked = snapshot.asked(HAPROXY)
        info = parse_info(text_of(admin.get("show info"), "show info"))
        rows = parse_stat(text_of(admin.get("show stat"), "show stat"))
    except (Unread, ParseError, KeyError) as problem:
        unread.append(f"haproxy: {problem}")
        return {}
    own = {
        "haproxy.CurrConns": info.get("CurrConns", ""),
        "haproxy.Maxconn": info.get("Maxconn", ""),
        "haproxy.frontend.scur": rows.get((asked["frontend"], "FRONTEND"), {}).get("scur", ""),
        "haproxy.frontend.slim": rows.get((asked["frontend"], "FRONTEND"), {}).get("slim", ""),
        "haproxy.backend.qcur": rows.get((asked["backend"], "BACKEND"), {}).get("qcur", ""),
    }
    found = {HAPROXY: _numbers(own.items()) | haproxy_counters(servers(snapshot))}
    for name, row in servers(snapshot).items():
        found[name] = _numbers(
            (f"haproxy.server.{field}", row.get(field, "")) for field in ("scur", "slim")
        )
    return found


def replica_readings(
    snapshot: Snapshot, target: str, sysctls: Iterable[str], unread: list[str]
) -> dict[str, int]:
    """A target's own sysctls, and what a replica has counted."""
    try:
        seen = snapshot.target(target)
    except Unread as problem:
        unread.append(str(problem))
        return {}
    found = {}
    for key in sysctls:
        try:
            text = text_of(seen["sysctls"].get(key), key)
            found[f"sysctl.{key}"] = int(text.split()[-1])
        except (Unread, ValueError, IndexError) as problem:
            unread.append(f"{target}: {problem}")
    if target == HAPROXY:
        return found
    try:
        return found | refused(snapshot, target)
    except Unread as problem:
        unread.append(f"{target}: {problem}")
        return found


def _numbers(pairs: Iterable[tuple[str, str]]) -> dict[str, int]:
    return {name: int(text) for name, text in pairs if text.isdigit()}
