"""What this machine tells without the probe, where no engine can start it."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from stackctl.limits import Role
from stackctl.observe.request import sysctl_keys

PROC = Path("/proc")


def local_facts(proc: Path = PROC) -> dict[str, Any]:
    """Some of the probe's facts (response.py), in its shape, of the machine stackctl runs on.

    Args:
        proc: where the kernel's files are.

    Returns:
        kernel, memory, memory_available, sysctls, cgroups and tracking's count; nothing where
        DOCKER_HOST names another machine.
    """
    # An engine that would be asked elsewhere: this machine's facts say nothing of it.
    if not os.environ.get("DOCKER_HOST", "unix://").startswith("unix://"):
        return {}
    return {
        "kernel": os.uname().release,
        "memory": _memory(proc, "MemTotal"),
        "memory_available": _memory(proc, "MemAvailable"),
        "sysctls": {key: _sysctl(proc, key) for key in sysctl_keys(*Role)},
        "cgroups": _mounts(proc),
        "tracking": {"count": _sysctl(proc, "net.netfilter.nf_conntrack_count")},
    }


def _text(path: Path) -> dict[str, str]:
    try:
        return {"text": path.read_text(errors="replace"), "path": str(path)}
    except OSError as error:
        return {"error": f"{error.strerror}", "path": str(path)}


def _sysctl(proc: Path, key: str) -> Mapping[str, Any]:
    return _text(proc / "sys" / key.replace(".", "/"))


def _memory(proc: Path, row: str) -> Mapping[str, Any]:
    found = _text(proc / "meminfo")
    for line in found.get("text", "").splitlines():
        name, _, words = line.partition(":")
        if name == row:
            return {"value": int(words.split()[0]) * 1024}
    return {"error": found.get("error", f"no {row} in {proc}/meminfo")}


def _mounts(proc: Path) -> Mapping[str, Any]:
    found = _text(proc / "self" / "mountinfo")
    if "text" in found:
        lines = found["text"].splitlines()
        found["text"] = "\n".join(line for line in lines if " - cgroup" in line)
    return found
