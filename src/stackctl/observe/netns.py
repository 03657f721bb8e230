"""A target's network namespace: its sysctls, sockets made there, and its listeners. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from stackctl.collector.answer import Host, Listener, Target, Unread
from stackctl.limits import Kind, Limit, Read, Role, Value
from stackctl.limits.values import compact, parse
from stackctl.observe.observed import ParseError, reader
from stackctl.observe.snapshot import Snapshot


def _namespace(snapshot: Snapshot, target: str) -> Host | Target:
    """What was read in the target's network namespace; for the host, in the host's own."""
    return snapshot.host if target == Role.HOST else snapshot.target(target)


@reader
def sysctl(snapshot: Snapshot, target: str, read: Read, limit: Limit) -> tuple[Value, str]:
    """A key as it stands in the target's own namespaces."""
    found = _namespace(snapshot, target).sysctls.get(read.arg)
    if found is None:
        raise Unread(f"sysctl {read.arg}: not read by the collector")
    text = found.get(f"sysctl {read.arg}")
    try:
        got = parse(limit.kind, text)
    except ValueError as error:
        raise ParseError(f"sysctl {read.arg}: {error}") from error
    return got, f"{target}: {read.arg} = {' '.join(text.split())}"


@reader
def fresh_socket(snapshot: Snapshot, target: str, read: Read, limit: Limit) -> tuple[Value, str]:
    """A property of a fresh socket in the target's network namespace."""
    what = f"fresh socket, {read.arg}"
    found = _namespace(snapshot, target).fresh.get(read.arg)
    if found is None:
        raise Unread(f"{what}: not read by the collector")
    raw: Any = found.get(what)
    got: Value = tuple(raw) if isinstance(raw, list | tuple) else raw
    members = got if isinstance(got, tuple) else (0,)
    if type(got) not in (int, str, tuple) or {type(member) for member in members} != {int}:
        raise ParseError(f"{what}: {raw!r}")
    if isinstance(got, str) != (limit.kind is Kind.WORD):
        raise ParseError(f"{what}: {raw!r} is not {limit.kind}")
    return got, f"a fresh socket in {target}'s namespace: {read.arg} {compact(got)}"


@reader
def listener(snapshot: Snapshot, target: str, read: Read, limit: Limit) -> tuple[Value, str]:
    """The smallest backlog of the listener's sockets: each shard and each port has its own.

    With `ports`: on how many of the wanted ports the target itself listens.
    """
    found = snapshot.target(target)
    if found.listeners.errors:
        raise Unread(f"listeners of {target}: {'; '.join(found.listeners.errors)}")
    rows, where = _asked(snapshot, target, found, read.arg)
    live = found.process.pid
    if read.arg == "ports":
        held = sorted({row.port for row in rows if row.owners})
        seen = f"sock_diag: {target} listens on {len(held)} of {where}"
        return len(held), f"{seen} ({_list([live])})"
    return _backlog(rows, where, target, live)


def _asked(snapshot: Snapshot, target: str, found: Target, arg: str) -> tuple[list[Listener], str]:
    """The listeners in question, and their address in words."""
    if arg == "client":
        port = snapshot.haproxy.port
        return [row for row in found.listeners.tcp if row.port == port], f"port {port}"
    asked = snapshot.replica(target)
    if asked.address is None:
        if arg == "ports":
            raise Unread(f"{target} listens on a unix socket, which has no ports")
        return [row for row in found.listeners.unix if row.path == asked.socket], asked.socket
    address, first = asked.address
    ports = range(first, first + asked.ports)
    where = f"{address}:{first}" + (f"-{ports[-1]}" if len(ports) > 1 else "")
    return [r for r in found.listeners.tcp if r.address == address and r.port in ports], where


def _backlog(rows: Sequence[Listener], where: str, target: str, live: int) -> tuple[int, str]:
    owned = [row for row in rows if row.owners]
    if not owned:
        raise Unread(f"sock_diag: nothing of {target} listens on {where}")
    owners = sorted({pid for row in owned for pid in row.owners})
    if owners != [live]:
        raise Unread(
            f"sock_diag: {where} belongs to {_list(owners)}, not to the live process {live} alone"
        )
    # Unix paths do not count: the same path in another container is another socket.
    taken = {(row.address, row.port) for row in owned if row.port}
    if any(not row.owners and (row.address, row.port) in taken for row in rows):
        raise Unread(
            f"sock_diag: a process outside {target} listens on {where}, too, and gets a share of "
            "its connections"
        )
    backlogs = [row.backlog for row in owned if row.backlog is not None]
    if len(backlogs) < len(owned):
        raise Unread(f"sock_diag: the kernel shows no backlog for {where}")
    names = sorted({_name(row) for row in owned})
    shards = f", {len(owned)} sockets" if len(owned) > 1 else ""
    shown = " ".join(str(number) for number in sorted(set(backlogs)))
    return min(backlogs), f"sock_diag: Send-Q {shown} on {' '.join(names)} (process {live}{shards})"


def _name(row: Listener) -> str:
    return row.path or f"{row.address}:{row.port}"


def _list(pids: Sequence[int]) -> str:
    return ("process " if len(pids) == 1 else "processes ") + ", ".join(map(str, pids))
