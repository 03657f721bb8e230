"""The edge that reads which resources of this machine a load can use."""

from __future__ import annotations

import os
import resource

from stackctl.collector import counters, host
from stackctl.observe.counters import parse_file_nr
from stackctl.traffic.model import Machine


def read_machine(proc: str = "/proc") -> Machine:
    """The resources that a load started here can use.

    Raises:
        Unread: a value could not be read.
    """
    files = parse_file_nr(counters.file_nr(proc).get("fs.file-nr"))
    return Machine(
        cpus=len(os.sched_getaffinity(0)),
        nofile=resource.getrlimit(resource.RLIMIT_NOFILE)[1],
        port_range=host.port_range(proc).get("net.ipv4.ip_local_port_range"),
        files_free=files["file-nr.max"] - files["file-nr.used"],
        memory_available=host.memory("MemAvailable", proc).get("MemAvailable"),
    )
