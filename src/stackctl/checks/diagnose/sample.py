"""One run of the collector → the numbers of a sample. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from stackctl.checks.diagnose.judge import Sample
from stackctl.collector.answer import NOT_READ, Reading, Unread
from stackctl.engine import Container
from stackctl.limits import Role
from stackctl.limits.targets import HAPROXY, HOST, is_replica, role_of
from stackctl.observe.counters import (
    haproxy_counters,
    kernel_readings,
    number_of,
    parse_file_nr,
)
from stackctl.observe.haproxy import answers, parse_info, parse_stat, servers
from stackctl.observe.observed import ParseError
from stackctl.observe.snapshot import Snapshot
from stackctl.observe.telemt import refused

OF_THE_HOST = (
    "net.netfilter.nf_conntrack_max",
    "net.ipv4.tcp_max_tw_buckets",
    "net.ipv4.tcp_max_orphans",
    "net.ipv4.tcp_mem",
)
"""Sysctls of the host that limit fills; of a triple the last number is enforced."""

OF_EACH = ("net.ipv4.tcp_max_tw_buckets",)
"""Sysctls that each network namespace has for itself."""

OF_ALL = ("net.netfilter.nf_conntrack_max",)
"""Sysctls of the host that limit every namespace, each for itself."""


def roles_of(network: str, containers: Sequence[Container]) -> dict[str, Role | None]:
    """Role whose rows count in each place; None for all roles, where the host's is shared.

    Args:
        network: "bridge" or "host".
        containers: the stack's.
    """
    names = [c.target for c in containers if c.pid]
    own = {name: role_of(name) for name in names if name == HAPROXY or is_replica(name)}
    return {HOST: None if network == "host" else Role.HOST, **own}


def sample_of(snapshot: Snapshot, network: str, at: float) -> Sample:
    """The numbers of one run, made with counters.

    Args:
        snapshot: the run.
        network: "bridge" or "host".
        at: when it was made, in seconds of a clock that only goes forward.
    """
    unread: list[str] = []
    host = _host(snapshot, unread)
    readings: dict[str, dict[str, int]] = {HOST: host}
    for name in sorted(snapshot.running):
        place = readings.setdefault(name, {})
        try:
            found = snapshot.target(name)
        except Unread as problem:
            unread.append(str(problem))
            continue
        if network == "bridge":
            if found.counters:
                place |= kernel_readings(found.counters, name, unread)
            place |= {k: v for k, v in host.items() if k.removeprefix("sysctl.") in OF_ALL}
            place |= _sysctls(found.sysctls, OF_EACH, name, unread)
        try:
            fullest = found.descriptors.get(f"{name}: descriptors")
            place |= {"descriptors.used": fullest.used, "descriptors.soft": fullest.soft}
        except Unread as problem:
            unread.append(str(problem))
        if is_replica(name):
            place |= replica_readings(snapshot, name, unread)
    for where, numbers in haproxy_readings(snapshot, unread).items():
        readings.setdefault(where, {}).update(numbers)
    return Sample(at, readings, tuple(unread))


def _host(snapshot: Snapshot, unread: list[str]) -> dict[str, int]:
    host = snapshot.host
    if host.counters is None:
        raise TypeError("the run was made without counters")
    return {
        **kernel_readings(host.counters, HOST, unread),
        **number_of(host.file_nr, parse_file_nr, f"{HOST}: file-nr", unread),
        **_sysctls(host.sysctls, OF_THE_HOST, HOST, unread),
    }


def _sysctls(
    found: dict[str, Reading[str]], keys: Iterable[str], where: str, unread: list[str]
) -> dict[str, int]:
    numbers = {}
    for key in keys:
        try:
            numbers[f"sysctl.{key}"] = int(found.get(key, NOT_READ).get(key).split()[-1])
        except (Unread, ValueError, IndexError) as problem:
            unread.append(f"{where}: {problem}")
    return numbers


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
