"""Whether what the engine runs are processes of this machine: nothing else can be read in /proc."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path

from stackctl.engine import Container
from stackctl.errors import PlanError, StackNotRunningError
from stackctl.observe.moment import PROC
from stackctl.plan import HAPROXY


def cgroups_of(pids: Sequence[int], proc: Path = PROC) -> dict[int, str]:
    """/proc/PID/cgroup of those that are processes of this machine."""
    found = {}
    for pid in pids:
        with suppress(OSError):
            found[pid] = (proc / str(pid) / "cgroup").read_text()
    return found


def running_haproxy(
    containers: Sequence[Container], cgroups: Mapping[int, str], stack: str
) -> Container:
    """The stack's HAProxy, which must be a process of this very machine.

    Args:
        containers: the stack's, from the engine.
        cgroups: /proc/PID/cgroup of their processes on this machine, by id; missing where there
            is no such process.
        stack: its name.

    Raises:
        StackNotRunningError: it does not run.
        PlanError: it runs, but elsewhere.
    """
    found = next((c for c in containers if c.target == HAPROXY and c.pid), None)
    if found is None:
        raise StackNotRunningError(
            f"{stack}: no HAProxy of this stack runs on the engine", "start it: `stackctl up`"
        )
    if found.id not in cgroups.get(found.pid, ""):
        raise PlanError(
            "the engine",
            f"runs {stack}'s HAProxy as process {found.pid}, which is no process of this machine",
            "run this on the machine that runs the stack",
        )
    return found
