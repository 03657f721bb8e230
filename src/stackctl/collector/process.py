"""Processes: one walk over /proc, start times, paths inside a process's root, its pids cgroup."""

from __future__ import annotations

import os
import time
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import replace
from typing import NamedTuple

from stackctl.collector.answer import Cgroup, File, Reading
from stackctl.collector.reading import PROC, failure, lines_of, read_text, text

_TICK = os.sysconf("SC_CLK_TCK")
_KTHREADD = 2
_LINKS = 40
STATUS_KEYS = frozenset({"Uid", "Gid", "Groups", "CapEff", "NoNewPrivs", "Seccomp", "NSpid"})
"""Lines of /proc/PID/status that are kept."""


class ProcEntry(NamedTuple):
    """A line of /proc/PID/stat, and the process's cgroups as text."""

    pid: int
    comm: str
    parent: int
    ticks: int
    """Start time in clock ticks after boot: pid and ticks together identify a process."""
    cgroup: str


Processes = Mapping[int, ProcEntry]
"""Every process of the machine by its id."""


def parse_stat(stat: str, cgroup: str = "") -> ProcEntry:
    """/proc/PID/stat. The name stands in parentheses and may itself hold `) `.

    Raises:
        ValueError, IndexError: the text is not a stat line.
    """
    head, _, tail = stat.rpartition(")")
    pid, _, comm = head.partition(" (")
    fields = tail.split()
    return ProcEntry(int(pid), comm, int(fields[1]), int(fields[19]), cgroup)


def read(pid: int) -> ProcEntry:
    """This process as it is now; raises OSError where it has ended."""
    return parse_stat(read_text(f"/proc/{pid}/stat"))


def ids(proc: str = PROC) -> Iterator[int]:
    """The ids of all processes."""
    return (int(name) for name in os.listdir(proc) if name.isdigit())


def walk(proc: str = PROC) -> dict[int, ProcEntry]:
    """Every process but the kernel's threads; a process that ends meanwhile is left out."""
    found: dict[int, ProcEntry] = {}
    for pid in ids(proc):
        try:
            process = parse_stat(read_text(f"{proc}/{pid}/stat"))
            if _KTHREADD in (process.pid, process.parent):
                continue
            found[process.pid] = process._replace(cgroup=read_text(f"{proc}/{pid}/cgroup"))
        except (OSError, ValueError, IndexError):
            continue
    return found


def of_container(container: str, proc: str = PROC) -> list[int]:
    """The processes of a container, by its full id."""
    return [pid for pid, cgroup in cgroups(ids(proc), proc).items() if container in cgroup]


def cgroups(pids: Iterable[int], proc: str = PROC) -> dict[int, str]:
    """/proc/PID/cgroup of those ids that are processes of this machine."""
    found = {}
    for pid in pids:
        try:
            found[pid] = read_text(f"{proc}/{pid}/cgroup")
        except OSError:
            continue
    return found


def started(ticks: int) -> float:
    """Start time in seconds since the epoch, exact to one tick (10 ms)."""
    # btime of /proc/stat is rounded to a second; the difference of the two clocks is not.
    return time.time() - time.clock_gettime(time.CLOCK_BOOTTIME) + ticks / _TICK


def live_worker(pid: int, processes: Processes) -> tuple[ProcEntry, list[ProcEntry]]:
    """HAProxy's newest worker, and the older ones; without workers, the process itself."""
    master = processes[pid]
    workers = [p for p in processes.values() if p.parent == pid and p.comm == master.comm]
    # After a reload the old workers finish their sessions, and the newest takes new clients.
    workers.sort(key=lambda process: (process.ticks, process.pid))
    return (workers[-1], workers[:-1]) if workers else (master, [])


def status(pid: int) -> Reading[str]:
    """The lines of /proc/PID/status about users, groups and capabilities."""
    return lines_of(f"/proc/{pid}/status", lambda line: line.partition(":")[0] in STATUS_KEYS)


def inside(pid: int, path: str) -> str:
    """`path` in the process's root, as a path that this process can open.

    Links are followed one by one: an absolute link would lead into the collector's own root.

    Raises:
        OSError: there are more than 40 links, or a part may not be read.
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
            done.append(part)  # not a link, or missing: opening it will tell
            continue
        links += 1
        if links > _LINKS:
            raise OSError(40, os.strerror(40))
        done = [] if target.startswith("/") else done
        todo.extend(piece for piece in reversed(target.split("/")) if piece)
    return "/".join([root, *done])


def file(pid: int, path: str) -> File:
    """A file in the process's root: its text, and when its content and its inode last changed."""
    try:
        real = inside(pid, path)
        content = text(real)
        stat = os.stat(real)
    except OSError as problem:
        return File(failure(problem), path)
    return File(replace(content, path=path), path, stat.st_mtime, stat.st_ctime)


def sockets(pid: int, wanted: Collection[int]) -> set[int]:
    """Which of these sockets, by inode, the process holds; OSError where that may not be read.

    The search stops when all are found: listeners have low descriptors, and hundreds of thousands
    of connections may follow.
    """
    found: set[int] = set()
    with os.scandir(f"/proc/{pid}/fd") as entries:
        for entry in entries:
            try:
                target = os.readlink(entry.path)
            except FileNotFoundError:
                continue  # the descriptor was closed meanwhile
            if target.startswith("socket:[") and (inode := int(target[8:-1])) in wanted:
                found.add(inode)
                if len(found) == len(wanted):
                    break
    return found


class Mount(NamedTuple):
    """Where a hierarchy is mounted, and which of its directories is mounted there."""

    point: str
    root: str


def membership(listing: str) -> tuple[str, str]:
    """("pids" or "" for v2, path) from /proc/PID/cgroup; v1 wins where both exist.

    Raises:
        LookupError: there is neither a pids line nor a v2 line.
    """
    unified: str | None = None
    for line in listing.splitlines():
        _, _, rest = line.partition(":")
        controllers, _, path = rest.partition(":")
        if "pids" in controllers.split(","):
            return "pids", path
        if line.startswith("0::"):
            unified = path
    if unified is None:
        raise LookupError("no pids controller in /proc/PID/cgroup")
    return "", unified


def find_mount(mountinfo: str, controller: str) -> Mount:
    """The mount of v1's pids hierarchy, or of v2's only one, from /proc/PID/mountinfo.

    Raises:
        LookupError: it is not mounted there.
    """
    for line in mountinfo.splitlines():
        left, _, right = line.partition(" - ")
        kind, options = right.split(" ", 1)[0], right.rsplit(" ", 1)[-1].split(",")
        wanted = kind == "cgroup" and controller in options if controller else kind == "cgroup2"
        if wanted:
            fields = left.split(" ")
            return Mount(fields[4], fields[3])
    raise LookupError(f"no {'pids' if controller else 'cgroup2'} mount")


def directories(path: str, mount: Mount) -> list[str]:
    """The process's own directory and its ancestors up to the mount, deepest first."""
    shown = path[len(mount.root) :] if mount.root != "/" and path.startswith(mount.root) else path
    parts = [part for part in shown.split("/") if part]
    return ["/".join([mount.point, *parts[:end]]) for end in range(len(parts), -1, -1)]


def pids(pid: int, shim: int) -> Cgroup:
    """The pids cgroup of a process, through the engine's own view of the cgroup file system.

    Args:
        pid: the process.
        shim: a process of the engine.
    """
    try:
        controller, path = membership(read_text(f"/proc/{pid}/cgroup"))
        mount = find_mount(read_text(f"/proc/{shim}/mountinfo"), controller)
    except (OSError, LookupError) as problem:
        return Cgroup(failure(problem), failure(problem))
    view = f"/proc/{shim}/root"
    own, *above = directories(path, mount)
    current = f"{own}/pids.current"
    return Cgroup(
        limit=_limit(view, own, mount),
        current=replace(text(view + current), path=current),
        ancestors=tuple(_limit(view, directory, mount) for directory in above),
        path=path,
    )


def _limit(view: str, directory: str, mount: Mount) -> Reading[str]:
    reading = text(f"{view}{directory}/pids.max")
    if directory == mount.point and reading.error.startswith("ENOENT"):
        return Reading("max", path=f"{directory} (the root has no limit)")
    return replace(reading, path=f"{directory}/pids.max")
