"""HAProxy's and Telemt's own numbers, of one run of the collector. Pure."""

from __future__ import annotations

from collections.abc import Iterable

from stackctl.collector.answer import Unread
from stackctl.limits.targets import HAPROXY
from stackctl.observe.counters import haproxy_counters
from stackctl.observe.haproxy import answers, parse_info, parse_stat, servers
from stackctl.observe.observed import ParseError
from stackctl.observe.snapshot import Snapshot
from stackctl.observe.telemt import refused


def haproxy_readings(snapshot: Snapshot, unread: list[str]) -> dict[str, dict[str, int]]:
    """HAProxy's numbers of itself, and its numbers of each replica at that replica's place."""
    try:
        said, asked = answers(snapshot), snapshot.haproxy
        info = parse_info(said.info.get("show info"))
        rows = parse_stat(said.stat.get("show stat"))
    except (Unread, ParseError) as problem:
        unread.append(f"haproxy: {problem}")
        return {}
    own = {
        "haproxy.CurrConns": info.get("CurrConns", ""),
        "haproxy.Maxconn": info.get("Maxconn", ""),
        "haproxy.frontend.scur": rows.get((asked.frontend, "FRONTEND"), {}).get("scur", ""),
        "haproxy.frontend.slim": rows.get((asked.frontend, "FRONTEND"), {}).get("slim", ""),
        "haproxy.backend.qcur": rows.get((asked.backend, "BACKEND"), {}).get("qcur", ""),
    }
    found = {HAPROXY: _numbers(own.items()) | haproxy_counters(servers(snapshot))}
    for name, row in servers(snapshot).items():
        found[name] = _numbers(
            (f"haproxy.server.{field}", row.get(field, "")) for field in ("scur", "slim")
        )
    return found


def replica_readings(snapshot: Snapshot, target: str, unread: list[str]) -> dict[str, int]:
    """A replica's counters of refusals."""
    try:
        return refused(snapshot, target)
    except Unread as problem:
        unread.append(f"{target}: {problem}")
        return {}


def _numbers(pairs: Iterable[tuple[str, str]]) -> dict[str, int]:
    return {name: int(text) for name, text in pairs if text.isdigit()}
