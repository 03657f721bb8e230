"""Readers of what the kernel says of a target: its namespace, its process, its sockets."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from stackctl.limits import Kind, Limit, Read, Value
from stackctl.limits.values import compact, parse
from stackctl.observe.evidence import reader
from stackctl.observe.limitfile import ParseError, parse_limits, parse_pids
from stackctl.observe.model import Snapshot, Unread, text_of, value_of

HOST = "host"
_PROCESSES = "Max processes"


def _namespace(snapshot: Snapshot, target: str) -> Mapping[str, Any]:
    """What was read in the target's network namespace; the host's own for the host."""
    return snapshot.facts if target == HOST else snapshot.target(target)


@reader
def sysctl(snapshot: Snapshot, target: str, read: Read, limit: Limit) -> tuple[Value, str]:
    """A key as it stands in the target's own namespaces."""
    text = text_of(_namespace(snapshot, target)["sysctls"].get(read.arg), f"sysctl {read.arg}")
    try:
        got = parse(limit.kind, text)
    except ValueError as error:
        raise ParseError(f"sysctl {read.arg}: {error}") from error
    return got, f"{target}: {read.arg} = {' '.join(text.split())}"


@reader
def fresh_socket(snapshot: Snapshot, target: str, read: Read, limit: Limit) -> tuple[Value, str]:
    """A property of a socket made in the target's namespace a moment ago."""
    what = f"fresh socket, {read.arg}"
    raw = value_of(_namespace(snapshot, target)["fresh"].get(read.arg), what)
    got: Value = tuple(int(part) for part in raw) if isinstance(raw, list) else raw
    if isinstance(got, bool) or not isinstance(got, int | str | tuple):
        raise ParseError(f"{what}: {raw!r}")
    if isinstance(got, str) != (limit.kind is Kind.WORD):
        raise ParseError(f"{what}: {raw!r} is not {limit.kind}")
    return got, f"a fresh socket in {target}'s namespace: {read.arg} {compact(got)}"


@reader
def rlimit(snapshot: Snapshot, target: str, read: Read, limit: Limit) -> tuple[Value, str]:
    """Soft and hard limit of the live process."""
    process = snapshot.target(target)["process"]
    got, source = _row(process, read.arg)
    first = process["first"]
    if read.arg == _PROCESSES and got == (0, 0) and first["pid"] != process["pid"]:
        # HAProxy's worker takes fork() from itself; what the container was given is its master's.
        got, source = _row(first, read.arg)
        source += f" (HAProxy's master; its worker {process['pid']} has forbidden itself to fork)"
    return got, source


def _row(process: Mapping[str, Any], name: str) -> tuple[tuple[int, int], str]:
    path = f"/proc/{process['pid']}/limits"
    rows = parse_limits(text_of(process["limits"], path))
    if name not in rows:
        raise ParseError(f"{path}: no row {name!r}")
    return rows[name], f"{path}: {name} {compact(rows[name])}"


@reader
def cgroup(snapshot: Snapshot, target: str, read: Read, limit: Limit) -> tuple[Value, str]:
    """pids.max of the container's own cgroup."""
    group = snapshot.target(target)["cgroup"]
    text = text_of(group.get(read.arg), f"{read.arg} of {target}")
    now = group.get("pids.current", {}).get("text", "?").strip()
    return parse_pids(text), f"{read.arg} of {target}'s cgroup: {text.strip()} (now {now})"


@reader
def listener(snapshot: Snapshot, target: str, read: Read, limit: Limit) -> tuple[Value, str]:
    """The smallest backlog of the listener's sockets, each shard and each port having its own.

    With `ports`: how many of the ports asked about the target itself holds.
    """
    found = snapshot.target(target)
    listeners = found["listeners"]
    if listeners["errors"]:
        raise Unread(f"listeners of {target}: {'; '.join(listeners['errors'])}")
    asked = snapshot.asked(target)
    if read.arg == "client":
        where = f"port {asked['port']}"
        rows = [row for row in listeners["tcp"] if row["port"] == asked["port"]]
    elif "unix" in asked["listener"]:
        if read.arg == "ports":
            raise Unread(f"{target} listens on a unix socket, which has no ports")
        where = str(asked["listener"]["unix"])
        rows = [row for row in listeners["unix"] if row["path"] == where]
    else:
        address, first = asked["listener"]["tcp"]
        ports = range(first, first + asked["listener"]["ports"])
        where = f"{address}:{first}" + (f"-{ports[-1]}" if len(ports) > 1 else "")
        rows = [r for r in listeners["tcp"] if r["address"] == address and r["port"] in ports]
    if read.arg == "ports":
        held = sorted({row["port"] for row in rows if row.get("owners")})
        seen = f"sock_diag: {target} listens on {len(held)} of {where}"
        return len(held), f"{seen} ({_list([int(found['process']['pid'])])})"
    return _backlog(rows, where, target, int(found["process"]["pid"]))


def _backlog(
    rows: Sequence[Mapping[str, Any]], where: str, target: str, live: int
) -> tuple[int, str]:
    owned = [row for row in rows if row.get("owners")]
    if not owned:
        raise Unread(f"sock_diag: nothing of {target} listens on {where}")
    owners = sorted({pid for row in owned for pid in row["owners"]})
    if owners != [live]:
        raise Unread(
            f"sock_diag: {where} is held by {_list(owners)}, not by the live process {live} alone"
        )
    # A unix path is a name in one container's files: the same path elsewhere is another socket.
    taken = {(row.get("address"), row.get("port")) for row in owned if "port" in row}
    foreign = [
        r for r in rows if not r.get("owners") and (r.get("address"), r.get("port")) in taken
    ]
    if foreign:
        raise Unread(
            f"sock_diag: a process outside {target} listens on {where} too and takes a share of "
            "its connections"
        )
    backlogs = [int(row["backlog"]) for row in owned]
    names = sorted({_name(row) for row in owned})
    shards = f", {len(owned)} sockets" if len(owned) > 1 else ""
    shown = " ".join(str(number) for number in sorted(set(backlogs)))
    return min(backlogs), f"sock_diag: Send-Q {shown} on {' '.join(names)} (process {live}{shards})"


def _name(row: Mapping[str, Any]) -> str:
    return str(row["path"]) if "path" in row else f"{row['address']}:{row['port']}"


def _list(pids: Sequence[int]) -> str:
    return ("process " if len(pids) == 1 else "processes ") + ", ".join(map(str, pids))
