"""The edge that reads this machine's /proc: counters of each namespace, and memory."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from stackctl.limits import Role
from stackctl.observe.counters import (
    CounterError,
    parse_conntrack,
    parse_file_nr,
    parse_kilobytes,
    parse_netstat,
    parse_sockstat,
)

PROC = Path("/proc")

FILES: dict[str, Callable[[str], dict[str, int]]] = {
    "net/netstat": parse_netstat,
    "net/sockstat": parse_sockstat,
    "net/stat/nf_conntrack": parse_conntrack,
}
"""/proc/PID/net is the process's own namespace, without entering it."""


@dataclass(frozen=True, slots=True)
class Space:
    """A network namespace, by a process that is in it.

    Attributes:
        where: "host", "haproxy" or "telemt-N".
        role: whose rows count here; None for all, where the stack shares the host's namespace.
        process: folder below /proc.
        container: id of the container; empty for the host.
    """

    where: str
    role: Role | None
    process: str
    container: str = ""


@dataclass(frozen=True, slots=True)
class Moment:
    """Everything read at one moment.

    Attributes:
        counters: by place, then by counter.
        memory: anonymous bytes of all processes, by place; "machine" is what is in
            use and no cache of files.
        unread: what could not be read, one clause each.
    """

    counters: Mapping[str, Mapping[str, int]]
    memory: Mapping[str, int]
    unread: tuple[str, ...]


def read_moment(
    spaces: Sequence[Space], containers: Mapping[str, str], proc: Path = PROC
) -> Moment:
    """Read everything now; what cannot be read is named, never taken for zero.

    Args:
        spaces: whose counters.
        containers: container ids by place, whose memory.
        proc: where the kernel's files are.
    """
    unread: list[str] = []
    counters: dict[str, dict[str, int]] = {}
    for space in spaces:
        found: dict[str, int] = {}
        for name, parse in FILES.items():
            found |= _parsed(proc / space.process / name, parse, f"{space.where}: {name}", unread)
        if space.role in {Role.HOST, None}:
            found |= _parsed(proc / "sys/fs/file-nr", parse_file_nr, "host: file-nr", unread)
        counters[space.where] = found
    memory = {place: _memory_of(proc, id_) for place, id_ in containers.items()}
    meminfo = (proc / "meminfo").read_text()
    # Not MemAvailable: that counts the inodes and names of open sockets among what can be given
    # back, 4 KB of a connection that is held.
    memory["machine"] = parse_kilobytes(meminfo, "MemTotal") - sum(
        parse_kilobytes(meminfo, name) for name in ("MemFree", "Buffers", "Cached")
    )
    return Moment(counters, memory, tuple(unread))


def _parsed(
    path: Path, parse: Callable[[str], dict[str, int]], what: str, unread: list[str]
) -> dict[str, int]:
    try:
        return parse(path.read_text())
    except OSError as error:
        unread.append(f"{what}: {error.strerror}")
    except CounterError as error:
        unread.append(f"{what}: {error}")
    return {}


def _memory_of(proc: Path, container: str) -> int:
    """Anonymous memory of a container's processes; one that ends meanwhile has none."""
    total = 0
    for folder in proc.iterdir():
        if not folder.name.isdigit():
            continue
        with suppress(OSError, CounterError):
            if container in (folder / "cgroup").read_text():
                total += parse_kilobytes((folder / "status").read_text(), "RssAnon")
    return total
