"""What /proc says of processes: families, processor time, memory."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

PROC = Path("/proc")


def family(pid: int) -> tuple[int, ...]:
    """A process and all that come from it, itself first."""
    found = [pid]
    for parent in found:
        for task in PROC.glob(f"{parent}/task/*/children"):
            with suppress(OSError):
                found += [int(word) for word in task.read_text().split()]
    return tuple(found)


def userland_proxies(port: int) -> tuple[int, ...]:
    """The engine's processes that pass on what comes to a published port of this host."""
    found = []
    for folder in PROC.iterdir():
        if not folder.name.isdigit():
            continue
        with suppress(OSError):
            words = (folder / "cmdline").read_bytes().decode("utf-8", "replace").split("\0")
            if words[0].endswith("docker-proxy") and str(port) in words:
                found.append(int(folder.name))
    return tuple(found)


def cpu_seconds(pids: Iterable[int]) -> float:
    """Processor time of all their threads until now, in seconds, by the scheduler's own clock.

    What the kernel does for a connection on loopback is in it: it happens inside their calls.
    """
    spent = 0
    for pid in pids:
        for task in PROC.glob(f"{pid}/task/*/schedstat"):
            with suppress(OSError):
                spent += int(task.read_text().split()[0])
    return spent / 1e9


def tcp_counters(pids: Iterable[int]) -> Counter[str]:
    """TcpExt of /proc/PID/net/netstat, summed over the network namespaces that they are in."""
    namespaces = {str((PROC / str(pid) / "ns" / "net").readlink()): pid for pid in pids}
    total: Counter[str] = Counter()
    for pid in namespaces.values():
        total.update(_tcp_ext((PROC / str(pid) / "net" / "netstat").read_text()))
    return total


def _tcp_ext(text: str) -> dict[str, int]:
    names, values = (line.split()[1:] for line in text.splitlines() if line.startswith("TcpExt:"))
    return dict(zip(names, map(int, values), strict=True))


def resident_bytes(pids: Iterable[int]) -> int:
    """Resident memory of all of them, in bytes."""
    total = 0
    for pid in pids:
        with suppress(OSError):
            total += _kib((PROC / str(pid) / "status").read_text(), "VmRSS") * 1024
    return total


def _kib(text: str, key: str) -> int:
    for line in text.splitlines():
        name, _, value = line.partition(":")
        if name == key:
            return int(value.split()[0])
    return 0
