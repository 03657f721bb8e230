"""The edge that reads counters and memory of this machine while a load runs on it.

In the load's own process: a container started meanwhile would be counted among what the load takes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from stackctl.collector import counters as collected
from stackctl.collector import host, process
from stackctl.collector.answer import Unread
from stackctl.limits import Role
from stackctl.observe.counters import kernel_readings, number_of, parse_file_nr

PROC = "/proc"


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


def read_moment(spaces: Sequence[Space], containers: Mapping[str, str], proc: str = PROC) -> Moment:
    """Read everything now; what cannot be read is named, never taken for zero.

    Args:
        spaces: whose counters.
        containers: container ids by place, whose memory.
        proc: where the kernel's files are.
    """
    unread: list[str] = []
    counters: dict[str, dict[str, int]] = {}
    for space in spaces:
        found = kernel_readings(collected.of(space.process, proc), space.where, unread)
        if space.role in {Role.HOST, None}:
            found |= number_of(collected.file_nr(proc), parse_file_nr, "host: file-nr", unread)
        counters[space.where] = found
    readings = {
        place: collected.memory(process.of_container(id_, proc), proc)
        for place, id_ in containers.items()
    }
    # Not MemAvailable: that counts the inodes and names of open sockets among what can be given
    # back, 4 KB of a connection that is held.
    readings["machine"] = host.memory_in_use(proc)
    memory = {}
    for place, reading in readings.items():
        try:
            memory[place] = reading.get(f"{place}: memory")
        except Unread as problem:
            unread.append(str(problem))
    return Moment(counters, memory, tuple(unread))
