"""What is read of the host itself, in the probe's own network namespace: the host's."""

from __future__ import annotations

import os
import socket
from typing import Any

from stackctl.collector import cgroup, clock, diag, dockerd, fresh, nics, procs, security, tracking
from stackctl.collector.reading import Reading, failure, read_text, sysctls, text

_LIMITS_CONF = "/etc/security/limits.conf"
_LIMITS_D = "/etc/security/limits.d"
_DAEMONS = ("dockerd", "containerd", "podman")
_CONGESTION = (
    "net.ipv4.tcp_available_congestion_control",
    "net.ipv4.tcp_allowed_congestion_control",
)


def collect(keys: list[str], processes: dict[int, procs.Process], shim: int) -> dict[str, Any]:
    """Facts of the machine, the engine and the host's namespace."""
    available, allowed = (sysctls([key])[key] for key in _CONGESTION)
    return {
        "kernel": os.uname().release,
        "machine": os.uname().machine,
        "cpus": len(os.sched_getaffinity(0)),
        "memory": _memory("MemTotal"),
        "memory_available": _memory("MemAvailable"),
        "boot_id": text("/proc/sys/kernel/random/boot_id"),
        "netns": os.readlink("/proc/thread-self/ns/net"),
        "sysctls": sysctls(keys),
        "congestion": {"available": available, "allowed": allowed},
        "fresh": fresh.readings(),
        "listening": _listening(),
        "tracking": tracking.readings(),
        "clock": clock.readings(processes.values()),
        "cgroups": _cgroups(shim),
        "security": security.readings(shim),
        # This container was started with no limit said: what the engine gives by itself.
        "unsaid": text("/proc/thread-self/limits"),
        **nics.collect(),
        "engine": engine(processes, shim),
        "login": login(shim),
    }


def _memory(row: str) -> Reading:
    """A row of /proc/meminfo in bytes."""
    try:
        for line in read_text("/proc/meminfo").splitlines():
            if line.startswith(f"{row}:"):
                return {"value": int(line.split()[1]) * 1024}
    except (OSError, ValueError, IndexError) as problem:
        return failure(problem)
    return {"error": f"no {row} in /proc/meminfo"}


def _cgroups(shim: int) -> Reading:
    """The lines of the engine's mountinfo that mount a control group hierarchy."""
    reading = text(f"/proc/{shim}/mountinfo")
    if "text" in reading:
        lines = reading["text"].splitlines()
        reading["text"] = "\n".join(line for line in lines if " - cgroup" in line)
    return reading


def _listening() -> Reading:
    """Addresses and ports listened on in the host's namespace."""
    try:
        rows = [row for family in (socket.AF_INET, socket.AF_INET6) for row in diag.tcp(family)]
    except OSError as problem:
        return failure(problem)
    return {"value": sorted({(row["address"], row["port"]) for row in rows})}


def engine(processes: dict[int, procs.Process], shim: int) -> dict[str, Any]:
    """The process that starts containers, which is this probe's own parent, and the daemons.

    A daemon is found by its name; where several run, all are listed and none is chosen.
    """
    daemons = [p.pid for p in processes.values() if p.comm in _DAEMONS]
    return {
        "starter": _daemon(processes, shim, shim),
        "daemons": [
            {**_daemon(processes, pid, shim), **_told(processes[pid])} for pid in sorted(daemons)
        ],
        "proxies": dockerd.proxies(processes.values()),
    }


def _told(process: procs.Process) -> dict[str, Any]:
    return dockerd.told(process.pid) if process.comm == "dockerd" else {}


def _daemon(processes: dict[int, procs.Process], pid: int, shim: int) -> dict[str, Any]:
    process = processes.get(pid)
    try:
        user: Reading = {"text": os.readlink(f"/proc/{pid}/ns/user")}
    except OSError as problem:
        user = failure(problem)
    return {
        "pid": pid,
        "comm": process.comm if process else "",
        "parent": process.parent if process else 0,
        "limits": text(f"/proc/{pid}/limits"),
        "status": procs.status(pid),
        "user_namespace": user,
        "cgroup": cgroup.pids(pid, shim),
    }


def login(shim: int) -> list[Reading]:
    """limits.conf and limits.d/*.conf of the engine's own root, in the order PAM reads them."""
    # The engine's root, not that of process 1: some machines let nobody look into the latter.
    root = f"/proc/{shim}/root"
    files = [text(root + _LIMITS_CONF)]
    try:
        names = sorted(name for name in os.listdir(root + _LIMITS_D) if name.endswith(".conf"))
        files += [text(f"{root}{_LIMITS_D}/{name}") for name in names]
    except FileNotFoundError:
        pass  # no such directory: limits.conf alone counts
    except OSError as problem:
        files.append({**failure(problem), "path": root + _LIMITS_D})
    for file in files:
        file["path"] = str(file["path"])[len(root) :]
    return files
