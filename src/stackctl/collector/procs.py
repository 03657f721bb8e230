"""Processes: one walk over /proc, start times, and paths inside a process's root."""

from __future__ import annotations

import os
import time
from typing import Any, NamedTuple

from stackctl.collector.reading import Reading, read_text, text

_TICK = os.sysconf("SC_CLK_TCK")
_KTHREADD = 2
_LINKS = 40
STATUS_KEYS = frozenset({"Uid", "Gid", "Groups", "CapEff", "NoNewPrivs", "Seccomp", "NSpid"})


class Process(NamedTuple):
    """A line of /proc/PID/stat, and the process's cgroups as text."""

    pid: int
    comm: str
    parent: int
    ticks: int
    """Start time in clock ticks after boot: pid and ticks together name one process for good."""
    cgroup: str


def parse_stat(stat: str, cgroup: str = "") -> Process:
    """/proc/PID/stat. The name stands in parentheses and may itself hold `) `.

    Raises:
        ValueError, IndexError: the text is not a stat line.
    """
    head, _, tail = stat.rpartition(")")
    pid, _, comm = head.partition(" (")
    fields = tail.split()
    return Process(int(pid), comm, int(fields[1]), int(fields[19]), cgroup)


def read(pid: int) -> Process:
    """This process as it is now; raises OSError where it is gone."""
    return parse_stat(read_text(f"/proc/{pid}/stat"))


def walk() -> dict[int, Process]:
    """Every process but the kernel's own threads; one that ends meanwhile is left out."""
    found: dict[int, Process] = {}
    for name in os.listdir("/proc"):
        if not name.isdigit():
            continue
        try:
            process = parse_stat(read_text(f"/proc/{name}/stat"))
            if _KTHREADD in (process.pid, process.parent):
                continue
            found[process.pid] = process._replace(cgroup=read_text(f"/proc/{name}/cgroup"))
        except (OSError, ValueError, IndexError):
            continue
    return found


def started(ticks: int) -> float:
    """Wall-clock start in seconds since the epoch, good to one tick (10 ms)."""
    # btime of /proc/stat is rounded to a second; the two clocks together are not.
    return time.time() - time.clock_gettime(time.CLOCK_BOOTTIME) + ticks / _TICK


def live_worker(pid: int, processes: dict[int, Process]) -> tuple[Process, list[Process]]:
    """HAProxy's newest worker and the older ones; a process without children is its own worker."""
    master = processes[pid]
    workers = [p for p in processes.values() if p.parent == pid and p.comm == master.comm]
    # A reload forks the new worker while the old ones finish their sessions: the newest serves.
    workers.sort(key=lambda process: (process.ticks, process.pid))
    return (workers[-1], workers[:-1]) if workers else (master, [])


def status(pid: int) -> Reading:
    """The lines of /proc/PID/status that say who it is and what it may do."""
    reading = text(f"/proc/{pid}/status")
    if "text" in reading:
        lines = reading["text"].splitlines()
        reading["text"] = "\n".join(x for x in lines if x.partition(":")[0] in STATUS_KEYS)
    return reading


def inside(pid: int, path: str) -> str:
    """`path` of the process's own root as a path this process can open.

    Links are followed by hand: an absolute one would otherwise lead into the probe's own root.

    Raises:
        OSError: more than 40 links, or a part that may not be looked at.
    """
    root = f"/proc/{pid}/root"
    done: list[str] = []
    todo = [part for part in reversed(path.split("/")) if part]
    links = 0
    while todo:
        part = todo.pop()
        if part in (".", ".."):
            done = done[:-1] if part == ".." else done
            continue
        try:
            target = os.readlink("/".join([root, *done, part]))
        except OSError:
            done.append(part)  # not a link, or not there: opening it will say
            continue
        links += 1
        if links > _LINKS:
            raise OSError(40, os.strerror(40))
        done = [] if target.startswith("/") else done
        todo.extend(piece for piece in reversed(target.split("/")) if piece)
    return "/".join([root, *done])


def config(pid: int, path: str) -> Reading:
    """A file of the process's root: its text, and when its content or its entry last changed."""
    try:
        real = inside(pid, path)
        facts: dict[str, Any] = text(real)
        stat = os.stat(real)
    except OSError as problem:
        return {"error": f"{problem.strerror}", "path": path}
    return {**facts, "path": path, "mtime": stat.st_mtime, "ctime": stat.st_ctime}


def sockets(pid: int, wanted: set[int]) -> set[int]:
    """Which of these sockets, by inode, the process holds; OSError where that may not be seen.

    It stops when it has them all: listeners are opened first, and hundreds of thousands of
    connections may follow.
    """
    found: set[int] = set()
    with os.scandir(f"/proc/{pid}/fd") as entries:
        for entry in entries:
            try:
                target = os.readlink(entry.path)
            except FileNotFoundError:
                continue  # closed since
            if target.startswith("socket:[") and (inode := int(target[8:-1])) in wanted:
                found.add(inode)
                if found == wanted:
                    break
    return found
