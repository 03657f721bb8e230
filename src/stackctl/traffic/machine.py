"""The edge that reads what a load started on this machine can have."""

from __future__ import annotations

import os
import resource

from stackctl.collector import counters, host
from stackctl.observe.counters import parse_file_nr
from stackctl.traffic.model import Machine


def read_machine(proc: str = "/proc") -> Machine:
    """What a load started here can have.

    Raises:
        Unread: the kernel does not say.
    """
    files = parse_file_nr(counters.file_nr(proc).get("fs.file-nr"))
    return Machine(
        cpus=len(os.sched_getaffinity(0)),
        nofile=resource.getrlimit(resource.RLIMIT_NOFILE)[1],
        port_range=host.port_range(proc).get("net.ipv4.ip_local_port_range"),
        files_free=files["file-nr.max"] - files["file-nr.used"],
        memory_available=host.memory("MemAvailable", proc).get("MemAvailable"),
    )
