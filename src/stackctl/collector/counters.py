"""The kernel's counters: texts of /proc/PID/net, open descriptors, anonymous memory of processes.

A load reads the same numbers with these functions in its own process while it holds connections.
"""

from __future__ import annotations

import os
from collections.abc import Iterable

from stackctl.collector.answer import Counters, Descriptors, Reading
from stackctl.collector.reading import PROC, read_text, sysctl, text

_GONE: Reading[int] = Reading(error="no process of it could be read")


def of(pid: int | str, proc: str = PROC) -> Counters:
    """The counters of a process's network namespace; reading them does not need to enter it.

    Args:
        pid: its id, or "self" or "thread-self".
        proc: where the kernel's files are.
    """
    net = f"{proc}/{pid}/net"
    return Counters(
        netstat=text(f"{net}/netstat"),
        sockstat=text(f"{net}/sockstat"),
        conntrack=text(f"{net}/stat/nf_conntrack"),
    )


def file_nr(proc: str = PROC) -> Reading[str]:
    """How many files all processes have open, and how many they may open."""
    return sysctl("fs.file-nr", proc)


def descriptors(pids: Iterable[int], proc: str = PROC) -> Reading[Descriptors]:
    """Descriptors of the process closest to its soft limit; `process.of_container` has the ids."""
    fullest: Descriptors | None = None
    for pid in pids:
        try:
            found = Descriptors(
                used=sum(1 for _ in os.scandir(f"{proc}/{pid}/fd")),
                soft=_soft(read_text(f"{proc}/{pid}/limits")),
            )
        except (OSError, ValueError, LookupError):
            continue  # the process ended while it was read
        if fullest is None or found.used / found.soft > fullest.used / fullest.soft:
            fullest = found
    return Reading(fullest, error="" if fullest else _GONE.error)


def memory(pids: Iterable[int], proc: str = PROC) -> Reading[int]:
    """Anonymous bytes of these processes together; a process that ends meanwhile has none."""
    rows = []
    for pid in pids:
        try:
            rows.append(kilobytes(read_text(f"{proc}/{pid}/status"))["RssAnon"])
        except (OSError, ValueError, LookupError):
            continue
    return Reading(sum(rows)) if rows else _GONE


def kilobytes(listing: str) -> dict[str, int]:
    """The rows `NAME:  12 kB` of /proc/meminfo or /proc/PID/status, in bytes.

    Raises:
        ValueError: such a row has no number.
    """
    found = {}
    for line in listing.splitlines():
        name, _, rest = line.partition(":")
        words = rest.split()
        if len(words) == 2 and words[1] == "kB":
            found[name] = int(words[0]) * 1024
    return found


def _soft(limits: str) -> int:
    for line in limits.splitlines():
        if line.startswith("Max open files"):
            return int(line.split()[3])
    raise LookupError("no row Max open files")
