"""The machine: its hardware, sysctls, clock, security modules and connection tracking."""

from __future__ import annotations

import os
import socket
import struct
from collections.abc import Iterable, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

from stackctl.collector import cards, counters, engine, netlink, netns, sockets
from stackctl.collector.answer import NOT_READ, Clock, Host, Reading, Security, Tracking
from stackctl.collector.process import ProcEntry, Processes
from stackctl.collector.reading import (
    PROC,
    failure,
    lines_of,
    link,
    read_text,
    sysctl,
    sysctls,
    text,
    value,
)

NO_ENGINE: Reading[Any] = Reading(error="no engine answers")
"""Stands for facts that only the collector's container can read."""

_COUNT = "net.netfilter.nf_conntrack_count"
_PARSERS = ("/sbin/apparmor_parser", "/usr/sbin/apparmor_parser")
_KEEPERS = frozenset({"chronyd", "ntpd", "ntpd-rs", "openntpd", "systemd-timesyn", "ptp4l"})
"""Names as /proc has them: 15 characters."""

_TIMEX = struct.Struct("@Illlli")
_TIMEX_ROOM = 512
_ORIGINAL_DST = 80
_ORIGINAL_DST_SIZE = 28
_TIMEOUT = 1.0
_LOOPBACK = {
    "ipv4": (socket.AF_INET, "127.0.0.1", socket.SOL_IP),
    "ipv6": (socket.AF_INET6, "::1", getattr(socket, "IPPROTO_IPV6", 41)),
}


def collect(keys: Sequence[str], processes: Processes, shim: int, counted: bool = False) -> Host:
    """Everything about the machine, read in its own network namespace.

    Args:
        keys: sysctls to read.
        processes: all processes of the machine.
        shim: a process of the engine: the parent of the collector's own.
        counted: read also the kernel's counters.
    """
    return Host(
        kernel=os.uname().release,
        machine=os.uname().machine,
        cpus=len(os.sched_getaffinity(0)),
        memory=memory("MemTotal"),
        memory_available=memory("MemAvailable"),
        boot_id=text("/proc/sys/kernel/random/boot_id"),
        netns=netns.identity("thread-self"),
        sysctls=sysctls(keys),
        available=sysctl("net.ipv4.tcp_available_congestion_control"),
        allowed=sysctl("net.ipv4.tcp_allowed_congestion_control"),
        fresh=sockets.fresh(),
        listening=listening(),
        tracking=tracking(),
        clock=value(clock),
        keepers=Reading(keepers(processes.values())),
        cgroups=cgroup_mounts(shim),
        security=security(shim),
        # This container sets no limits, so these are the engine's defaults.
        unsaid=text("/proc/thread-self/limits"),
        cards=cards.collect(),
        engine=engine.collect(processes, shim),
        login=engine.login(shim),
        counters=counters.of("thread-self") if counted else None,
        file_nr=counters.file_nr() if counted else NOT_READ,
    )


def local(keys: Sequence[str], proc: str = PROC) -> Host:
    """Facts of the machine that stackctl runs on, without an engine; the rest is NO_ENGINE.

    Args:
        keys: sysctls to read.
        proc: where the kernel's files are.
    """
    return Host(
        kernel=os.uname().release,
        machine=os.uname().machine,
        cpus=len(os.sched_getaffinity(0)),
        memory=memory("MemTotal", proc),
        memory_available=memory("MemAvailable", proc),
        boot_id=NO_ENGINE,
        netns=link(f"{proc}/self/ns/net").value or "",
        sysctls=sysctls(keys, proc),
        available=NO_ENGINE,
        allowed=NO_ENGINE,
        fresh=dict.fromkeys(sockets.PROPERTIES, NO_ENGINE),
        listening=NO_ENGINE,
        tracking=Tracking(NO_ENGINE, NO_ENGINE, sysctl(_COUNT, proc)),
        clock=NO_ENGINE,
        keepers=NO_ENGINE,
        cgroups=cgroup_mounts("self", proc),
        security=Security(NO_ENGINE, NO_ENGINE, NO_ENGINE, NO_ENGINE, NO_ENGINE),
        unsaid=NO_ENGINE,
        cards=NO_ENGINE,
        engine=engine.unread(NO_ENGINE),
        login=(NO_ENGINE,),
    )


def memory(row: str, proc: str = PROC) -> Reading[int]:
    """A row of /proc/meminfo in bytes."""
    path = f"{proc}/meminfo"
    try:
        rows = counters.kilobytes(read_text(path))
    except (OSError, ValueError) as problem:
        return failure(problem, path)
    if row not in rows:
        return Reading(error=f"no {row} in {path}", path=path)
    return Reading(rows[row], path=path)


def memory_in_use(proc: str = PROC) -> Reading[int]:
    """Bytes of memory in use, without the cache of files."""
    # MemAvailable would not do: it counts the inodes and names of open sockets as reclaimable, and
    # these are 4 KB for each held connection.
    path = f"{proc}/meminfo"

    def take() -> int:
        rows = counters.kilobytes(read_text(path))
        return rows["MemTotal"] - rows["MemFree"] - rows["Buffers"] - rows["Cached"]

    return replace(value(take), path=path)


def port_range(proc: str = PROC) -> Reading[tuple[int, int]]:
    """The lowest and the highest source port that connect() chooses from."""

    def take() -> tuple[int, int]:
        lowest, highest = read_text(f"{proc}/sys/net/ipv4/ip_local_port_range").split()
        return int(lowest), int(highest)

    return value(take)


def cgroup_mounts(pid: int | str, proc: str = PROC) -> Reading[str]:
    """The lines of a process's mountinfo that mount a control group hierarchy."""
    return lines_of(f"{proc}/{pid}/mountinfo", lambda line: " - cgroup" in line)


def listening() -> Reading[tuple[tuple[str, int], ...]]:
    """Addresses and ports listened on in the calling thread's network namespace."""

    def take() -> tuple[tuple[str, int], ...]:
        rows = (*netlink.tcp(socket.AF_INET), *netlink.tcp(socket.AF_INET6))
        return tuple(sorted({(row.address, row.port) for row in rows}))

    return value(take)


def clock() -> Clock:
    """The kernel's clock, by adjtimex(2).

    Mode 0 sets nothing and needs no capability.

    Raises:
        OSError: the call was refused.
    """
    import ctypes

    buffer = ctypes.create_string_buffer(_TIMEX_ROOM)
    state = ctypes.CDLL(None, use_errno=True).adjtimex(buffer)
    if state < 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
    _, offset, _, maxerror, esterror, status = _TIMEX.unpack_from(buffer)
    return Clock(state, status, offset, maxerror, esterror)


def keepers(processes: Iterable[ProcEntry]) -> tuple[str, ...]:
    """Names of the running time daemons."""
    return tuple(sorted({process.comm for process in processes} & _KEEPERS))


def security(shim: int) -> Security:
    """Security modules of the kernel, as far as a container can see them."""
    root = f"/proc/{shim}/root"
    return Security(
        lsm=_below(root, "/sys/kernel/security/lsm"),
        apparmor=text("/sys/module/apparmor/parameters/enabled"),
        selinux=_below(root, "/sys/fs/selinux/enforce"),
        parser=Reading(tuple(path for path in _PARSERS if os.path.lexists(root + path))),
        label=text("/proc/thread-self/attr/current"),
    )


def _below(root: str, path: str) -> Reading[str]:
    return replace(text(root + path), path=path)


def tracking() -> Tracking:
    """Try whether connections of the calling thread's network namespace are tracked.

    The kernel tracks a namespace's connections only where a rule there asks for it, and no file
    shows that. A socket can: SO_ORIGINAL_DST looks its own connection up in the conntrack table.
    ENOPROTOOPT means that the kernel has no table now, EADDRNOTAVAIL or EAFNOSUPPORT that it lacks
    the address family.
    """
    ipv4, ipv6 = (value(partial(tracked, *row)) for row in _LOOPBACK.values())
    return Tracking(ipv4, ipv6, sysctl(_COUNT))


def tracked(family: int, address: str, level: int) -> int:
    """1 where a connection made now is in the conntrack table, 0 where it is not.

    The connection goes to a listener of this process and is looked up by its own addresses, so
    other traffic cannot be mistaken for it. This needs no capability.

    Raises:
        OSError: the connection could not be made, or the kernel has no table.
    """
    with socket.socket(family) as listener:
        listener.bind((address, 0))
        listener.listen(1)
        with socket.socket(family) as client:
            client.settimeout(_TIMEOUT)
            client.connect(listener.getsockname())
            try:
                client.getsockopt(level, _ORIGINAL_DST, _ORIGINAL_DST_SIZE)
            except FileNotFoundError:
                return 0
            return 1
