"""Limits of a process: /proc/PID/limits and pids.max, as text and as rows of the table. Pure."""

from __future__ import annotations

import re

from stackctl.collector.answer import Reading
from stackctl.limits import INFINITY, Limit, Read, Value
from stackctl.limits.values import compact
from stackctl.observe.observed import ParseError, reader
from stackctl.observe.snapshot import Snapshot

_ROW = re.compile(r"^(Max [a-z]+(?: [a-z]+)*) {2,}(\d+|unlimited) +(\d+|unlimited)(?: |$)")
_PROCESSES = "Max processes"


def parse_limits(text: str) -> dict[str, tuple[int, int]]:
    """/proc/PID/limits as (soft, hard) by row name, such as "Max open files".

    `unlimited` is INFINITY. Lines of another form are left out, so no limit is ever made up.
    """
    found = {}
    for line in text.splitlines():
        match = _ROW.match(line)
        if match:
            found[match[1]] = (_number(match[2]), _number(match[3]))
    return found


def parse_pids(text: str) -> int:
    """pids.max of a cgroup; `max` is INFINITY.

    Raises:
        ParseError: neither `max` nor a number.
    """
    word = text.strip()
    if word == "max":
        return INFINITY
    if not word.isascii() or not word.isdigit() or len(word) > 20:
        raise ParseError(f"neither `max` nor a number: {word[:60]!r}")
    return int(word)


def _number(word: str) -> int:
    # The kernel counts to 2**64 - 1 and calls that unlimited; anything near it means the same.
    return INFINITY if word == "unlimited" else min(int(word[:20]), INFINITY)


@reader
def rlimit(snapshot: Snapshot, target: str, read: Read, limit: Limit) -> tuple[Value, str]:
    """Soft and hard limit of the live process."""
    process = snapshot.target(target).process
    got, source = _row(process.pid, process.limits, read.arg)
    if read.arg == _PROCESSES and got == (0, 0) and process.first != process.pid:
        # HAProxy's worker forbids itself to fork; the container's own limit is the master's.
        got, source = _row(process.first, process.first_limits, read.arg)
        source += f" (HAProxy's master; its worker {process.pid} has forbidden itself to fork)"
    return got, source


def _row(pid: int, limits: Reading[str], name: str) -> tuple[tuple[int, int], str]:
    path = f"/proc/{pid}/limits"
    rows = parse_limits(limits.get(path))
    if name not in rows:
        raise ParseError(f"{path}: no row {name!r}")
    return rows[name], f"{path}: {name} {compact(rows[name])}"


@reader
def cgroup(snapshot: Snapshot, target: str, read: Read, limit: Limit) -> tuple[Value, str]:
    """pids.max of the container's own cgroup."""
    group = snapshot.target(target).cgroup
    text = group.limit.get(f"{read.arg} of {target}")
    now = (group.current.value or "?").strip()
    return parse_pids(text), f"{read.arg} of {target}'s cgroup: {text.strip()} (now {now})"
