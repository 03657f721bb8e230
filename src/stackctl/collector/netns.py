"""Into another process's network namespace, for the calling thread only."""

from __future__ import annotations

import os
import socket
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

from stackctl.collector import diag, procs
from stackctl.collector.reading import Reading, failure

_NEWNET = 0x40000000

T = TypeVar("T")


def enter(pid: int) -> None:
    """Move the calling thread into the process's network namespace.

    /proc/sys/net and every socket made afterwards by this thread are the target's; other threads
    stay where they are.

    Raises:
        OSError: CAP_SYS_ADMIN or CAP_SYS_PTRACE is missing, or the process is gone.
    """
    handle = os.open(f"/proc/{pid}/ns/net", os.O_RDONLY | os.O_CLOEXEC)
    try:
        if sys.version_info >= (3, 12):
            os.setns(handle, _NEWNET)
        else:
            import ctypes

            if ctypes.CDLL(None, use_errno=True).setns(handle, _NEWNET):
                number = ctypes.get_errno()
                raise OSError(number, os.strerror(number))
    finally:
        os.close(handle)


def inside(pid: int, step: Callable[[], T]) -> T:
    """What `step` returns in the process's network namespace; the caller stays in its own.

    A socket made there stays there, whichever thread uses it.

    Raises:
        OSError: the namespace cannot be entered. Whatever `step` raises.
    """

    def run() -> T:
        enter(pid)
        return step()

    with ThreadPoolExecutor(max_workers=1) as pool:
        return pool.submit(run).result()


def identity(pid: int | str) -> str:
    """`net:[4026531840]` of a process, or of `thread-self`."""
    return os.readlink(f"/proc/{pid}/ns/net")


def listeners(members: list[int], asked: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
    """TCP and unix listeners here; those asked for with their owners.

    Args:
        members: the container's processes; owners are looked for among these alone.
        asked: whether a listener's owners are wanted.
    """
    found: dict[str, Any] = {"tcp": [], "unix": [], "errors": []}
    for family in (socket.AF_INET, socket.AF_INET6):
        try:
            found["tcp"] += diag.tcp(family)
        except OSError as problem:
            found["errors"].append(f"tcp {family.name}: {failure(problem)['error']}")
    try:
        found["unix"] = diag.unix()
    except OSError as problem:
        found["errors"].append(f"unix: {failure(problem)['error']}")
    rows = [row for row in (*found["tcp"], *found["unix"]) if asked(row)]
    held = _held(members, {int(row["inode"]) for row in rows}, found["errors"]) if rows else {}
    for row in rows:
        row["owners"] = sorted(pid for pid, inodes in held.items() if row["inode"] in inodes)
    return found


def _held(members: list[int], wanted: set[int], errors: list[str]) -> dict[int, set[int]]:
    held: dict[int, set[int]] = {}
    for pid in members:
        try:
            held[pid] = procs.sockets(pid, wanted)
        except FileNotFoundError:
            continue  # it ended since
        except OSError as problem:
            errors.append(f"/proc/{pid}/fd: {failure(problem)['error']}")
    return held


def unread(problem: OSError) -> Reading:
    """The reading of everything that needed this namespace, where it could not be entered."""
    return {"error": f"network namespace: {failure(problem)['error']}"}
