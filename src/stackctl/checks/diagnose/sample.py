"""The edge: everything a diagnosis needs, read once. Only on the machine the stack runs on."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path

from stackctl.checks.diagnose.judge import Sample
from stackctl.checks.diagnose.words import haproxy_readings, replica_readings
from stackctl.engine import Container, Engine
from stackctl.limits import Role
from stackctl.observe.collect import look
from stackctl.observe.limitfile import ParseError, parse_limits
from stackctl.observe.moment import PROC, Space, read_moment
from stackctl.plan import HAPROXY, HOST, role_of
from stackctl.spec import Stack

OF_THE_HOST = (
    "net.netfilter.nf_conntrack_max",
    "net.ipv4.tcp_max_tw_buckets",
    "net.ipv4.tcp_max_orphans",
    "net.ipv4.tcp_mem",
)
"""Limits of fills; the last number of a triple is the one that is enforced."""

OF_EACH = ("net.ipv4.tcp_max_tw_buckets",)
"""Those that each network namespace has for itself."""

OF_ALL = ("net.netfilter.nf_conntrack_max",)
"""Those of the host that hold in every namespace, each for itself."""


def roles_of(stack: Stack, containers: Sequence[Container]) -> dict[str, Role | None]:
    """Whose rows count in each place."""
    if stack.network == "host":
        return {HOST: None, **{c.target: role_of(c.target) for c in _own(containers)}}
    return {HOST: Role.HOST, **{c.target: role_of(c.target) for c in _own(containers)}}


def take(
    stack: Stack, engine: Engine, containers: Sequence[Container], proc: Path = PROC
) -> Sample:
    """Read the host, and every container that runs.

    Raises:
        EngineError: the probe could not be run.
    """
    own = _own(containers)
    spaces = [Space(HOST, None if stack.network == "host" else Role.HOST, "self")]
    if stack.network == "bridge":
        spaces += [Space(c.target, role_of(c.target), str(c.pid), c.id) for c in own]
    snapshot = look(engine, stack, clients=False, counters=True)
    moment = read_moment(spaces, {}, proc)
    unread = list(moment.unread)
    readings: dict[str, dict[str, int]] = {
        where: dict(found) for where, found in moment.counters.items()
    }
    host = _sysctls(proc, unread)
    readings[HOST] |= host
    for container in own:
        place = readings.setdefault(container.target, {})
        place |= _descriptors(proc, container, unread)
        if stack.network == "bridge":
            place |= {k: v for k, v in host.items() if k.removeprefix("sysctl.") in OF_ALL}
            place |= replica_readings(snapshot, container.target, OF_EACH, unread)
        else:
            place |= replica_readings(snapshot, container.target, (), unread)
    for where, found in haproxy_readings(snapshot, unread).items():
        readings.setdefault(where, {}).update(found)
    return Sample(time.monotonic(), readings, tuple(unread))


def _own(containers: Sequence[Container]) -> list[Container]:
    return [c for c in containers if c.pid and (c.target == HAPROXY or c.is_replica)]


def _sysctls(proc: Path, unread: list[str]) -> dict[str, int]:
    found = {}
    for key in OF_THE_HOST:
        path = proc / "sys" / key.replace(".", "/")
        try:
            found[f"sysctl.{key}"] = int(path.read_text().split()[-1])
        except (OSError, ValueError, IndexError) as problem:
            unread.append(f"host: {key}: {problem}")
    return found


def _descriptors(proc: Path, container: Container, unread: list[str]) -> Mapping[str, int]:
    """Of the process of a container that has most of them open."""
    fullest: tuple[int, int] | None = None
    for folder in proc.iterdir():
        if not folder.name.isdigit():
            continue
        # Processes come and go while they are read.
        with suppress(OSError, ParseError, KeyError):
            if container.id in (folder / "cgroup").read_text():
                used = sum(1 for _ in (folder / "fd").iterdir())
                soft = parse_limits((folder / "limits").read_text())["Max open files"][0]
                if fullest is None or used / soft > fullest[0] / fullest[1]:
                    fullest = used, soft
    if fullest is None:
        unread.append(f"{container.target}: no process of it could be read")
        return {}
    return {"descriptors.used": fullest[0], "descriptors.soft": fullest[1]}
