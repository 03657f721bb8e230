"""A control group with most of the cpu, so that other programs disturb a measurement less."""

from __future__ import annotations

import os
import secrets
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from benchmarks.lab import signals_as_interrupts, signals_ignored

ROOT = Path("/sys/fs/cgroup/cpu")
MOST_SHARES = 262144
"""The kernel's most; a group has 1024, so that others get less than a hundredth of a busy cpu."""


@contextmanager
def ahead() -> Iterator[Callable[[Iterable[int]], None]]:
    """Give this process, its children and adopted processes the most shares of the cpus.

    Yields a function that adopts processes by their ids. At the end the remaining ones move to the
    group that this process was in. Without a cpu hierarchy of cgroup v1 it does nothing, and the
    rounds differ more when other programs run.
    """
    if not (ROOT / "cpu.shares").exists():
        yield lambda pids: None
        return
    before = ROOT / _own_path().lstrip("/") / "cgroup.procs"
    group = ROOT / f"stackctl-bench-{secrets.token_hex(4)}"
    with signals_as_interrupts():
        group.mkdir()
        try:
            (group / "cpu.shares").write_text(str(MOST_SHARES))

            def adopt(pids: Iterable[int]) -> None:
                for pid in pids:
                    with suppress(ProcessLookupError):
                        (group / "cgroup.procs").write_text(str(pid))

            adopt([os.getpid()])
            yield adopt
        finally:
            with signals_ignored():
                for pid in (group / "cgroup.procs").read_text().split():
                    with suppress(ProcessLookupError):
                        before.write_text(pid)
                group.rmdir()


def _own_path() -> str:
    for line in Path("/proc/self/cgroup").read_text().splitlines():
        _, controllers, path = line.split(":", 2)
        if "cpu" in controllers.split(","):
            return path
    return "/"
