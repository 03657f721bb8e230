"""The edge that reads what a load started on this machine can have."""

from __future__ import annotations

import os
import resource
from pathlib import Path

from stackctl.observe.counters import parse_file_nr, parse_kilobytes
from stackctl.observe.moment import PROC
from stackctl.traffic.model import Machine


def read_machine(proc: Path = PROC) -> Machine:
    """What a load started here can have."""
    low, high = (proc / "sys/net/ipv4/ip_local_port_range").read_text().split()
    files = parse_file_nr((proc / "sys/fs/file-nr").read_text())
    return Machine(
        cpus=len(os.sched_getaffinity(0)),
        nofile=resource.getrlimit(resource.RLIMIT_NOFILE)[1],
        port_range=(int(low), int(high)),
        files_free=files["file-nr.max"] - files["file-nr.used"],
        memory_available=parse_kilobytes((proc / "meminfo").read_text(), "MemAvailable"),
    )
