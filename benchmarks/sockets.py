"""Memory that the kernel charges to sockets, as `ss` shows it; other programs do not change it."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

_MEMORY = re.compile(r"skmem:\(r(\d+),rb\d+,t(\d+),tb\d+,f(\d+),w(\d+)")


@dataclass(frozen=True, slots=True)
class Charged:
    """Bytes of data in sockets: of the stack's, and of its clients'."""

    stack: int
    clients: int


def charged(pids: Iterable[int], port: int) -> Charged:
    """What established sockets hold in the network namespaces that these processes are in.

    Args:
        pids: processes, one or more in each namespace.
        port: of 127.0.0.1 that clients connect to: who has it on the other side is a client.
    """
    namespaces = {str(Path(f"/proc/{pid}/ns/net").readlink()): pid for pid in pids}
    stack = clients = 0
    for pid in namespaces.values():
        found = tcp_bytes(_ss(pid, "-tnmHO"), port)
        stack += found.stack + unix_bytes(_ss(pid, "-xnmHO"))
        clients += found.clients
    return Charged(stack, clients)


def tcp_bytes(text: str, port: int) -> Charged:
    """Of the lines of `ss -tnmHO`: what was received, what is queued, and what is set aside."""
    stack = clients = 0
    for line in text.splitlines():
        memory = _MEMORY.search(line)
        if not memory:
            continue
        received, _, aside, queued = map(int, memory.groups())
        # The number is signed in the kernel and may be negative.
        aside -= (aside >> 31) << 32
        if line.split()[4] == f"127.0.0.1:{port}":
            clients += received + aside + queued
        else:
            stack += received + aside + queued
    return Charged(stack, clients)


def unix_bytes(text: str) -> int:
    """Of the lines of `ss -xnmHO`: what the other end has not read is charged to who sent it."""
    return sum(int(found[2]) for found in _MEMORY.finditer(text))


def _ss(pid: int, options: str) -> str:
    argv = ["nsenter", "-t", str(pid), "-n", "ss", options]
    return subprocess.run(argv, capture_output=True, text=True, check=True).stdout
