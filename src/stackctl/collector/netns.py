"""Network namespaces: enter one with the calling thread, and list its listeners."""

from __future__ import annotations

import os
import socket
import sys
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TypeVar

from stackctl.collector import netlink, process
from stackctl.collector.answer import Listener, Listeners
from stackctl.collector.reading import failure

_NEWNET = 0x40000000

T = TypeVar("T")


def enter(pid: int) -> None:
    """Move the calling thread into the process's network namespace.

    From then on this thread's /proc/sys/net and new sockets are the target's; other threads stay
    where they are.

    Raises:
        OSError: CAP_SYS_ADMIN or CAP_SYS_PTRACE is missing, or the process has ended.
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
    """Run `step` in the process's network namespace; the caller stays in its own.

    A socket made there stays in that namespace, whichever thread uses it.

    Raises:
        OSError: the namespace cannot be entered. Whatever `step` raises.
    """

    # Loaded here, because a run without handshakes does not need it.
    from concurrent.futures import ThreadPoolExecutor

    def run() -> T:
        enter(pid)
        return step()

    with ThreadPoolExecutor(max_workers=1) as pool:
        return pool.submit(run).result()


def identity(pid: int | str) -> str:
    """`net:[4026531840]` of a process, or of `thread-self`."""
    return os.readlink(f"/proc/{pid}/ns/net")


def listeners(members: Sequence[int], asked: Callable[[Listener], bool]) -> Listeners:
    """TCP and unix listeners of the calling thread's namespace; those asked for with owners.

    Args:
        members: the container's processes; owners are searched only among these.
        asked: whether a listener's owners are wanted.
    """
    tcp: list[Listener] = []
    unix: list[Listener] = []
    errors: list[str] = []
    for family in (socket.AF_INET, socket.AF_INET6):
        try:
            tcp += netlink.tcp(family)
        except OSError as problem:
            errors.append(f"tcp {family.name}: {failure(problem).error}")
    try:
        unix = netlink.unix()
    except OSError as problem:
        errors.append(f"unix: {failure(problem).error}")
    wanted = {listener.inode for listener in (*tcp, *unix) if asked(listener)}
    held = _held(members, wanted, errors) if wanted else {}

    def owned(listener: Listener) -> Listener:
        owners = sorted(pid for pid, inodes in held.items() if listener.inode in inodes)
        return replace(listener, owners=tuple(owners)) if owners else listener

    return Listeners(tuple(map(owned, tcp)), tuple(map(owned, unix)), tuple(errors))


def _held(members: Sequence[int], wanted: set[int], errors: list[str]) -> dict[int, set[int]]:
    held: dict[int, set[int]] = {}
    for pid in members:
        try:
            held[pid] = process.sockets(pid, wanted)
        except FileNotFoundError:
            continue  # the process has ended
        except OSError as problem:
            errors.append(f"/proc/{pid}/fd: {failure(problem).error}")
    return held
