"""The edge that reads counters and memory of this machine while a load runs on it.

It reads in the load's own process: a container started meanwhile would count as part of the load.
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
    """A network namespace, found by a process in it.

    Attributes:
        where: "host", "haproxy" or "telemt-N".
        role: role whose rows count here; None for all roles, in the host's shared namespace.
        process: the process's folder below /proc.
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
        memory: anonymous bytes of all processes, by place; "machine" is all memory in use, without
            the cache of files.
        unread: what could not be read, one clause each.
    """

    counters: Mapping[str, Mapping[str, int]]
    memory: Mapping[str, int]
    unread: tuple[str, ...]


def read_moment(spaces: Sequence[Space], containers: Mapping[str, str], proc: str = PROC) -> Moment:
    """Read everything now; a value that cannot be read is named, never taken for zero.

    Args:
        spaces: the namespaces whose counters are read.
        containers: ids, by place, of the containers whose memory is read.
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
    # MemAvailable would not do: it counts the inodes and names of open sockets as reclaimable, and
    # these are 4 KB for each held connection.
    readings["machine"] = host.memory_in_use(proc)
    memory = {}
    for place, reading in readings.items():
        try:
            memory[place] = reading.get(f"{place}: memory")
        except Unread as problem:
            unread.append(str(problem))
    return Moment(counters, memory, tuple(unread))
