"""One container of the stack: its process, its namespace, its files, its own answers."""

from __future__ import annotations

import time

from stackctl.collector import counters, haproxy, netns, process, sockets, telemt
from stackctl.collector.answer import (
    NOT_READ,
    Listener,
    Listeners,
    OlderWorker,
    Process,
    Reading,
    Target,
    Unread,
)
from stackctl.collector.process import ProcEntry, Processes
from stackctl.collector.reading import Deadline, failure, sysctls, text
from stackctl.collector.request import HaproxyTarget, ReplicaTarget
from stackctl.collector.telemt import FailedCount, Moments


class NotTheTarget(Unread):
    """The process has ended, or is not the one that was asked for."""


def identify(target: HaproxyTarget | ReplicaTarget, processes: Processes) -> ProcEntry:
    """The process to read, checked against the container id; for HAProxy, its live worker.

    Raises:
        NotTheTarget: no such process, or it belongs to another container.
    """
    found = processes.get(target.pid)
    if found is None:
        raise NotTheTarget(f"process {target.pid} does not exist")
    if target.container not in found.cgroup:
        raise NotTheTarget(f"process {target.pid} is not in container {target.container[:12]}")
    if isinstance(target, HaproxyTarget):
        return process.live_worker(target.pid, processes)[0]
    return found


def collect(
    target: HaproxyTarget | ReplicaTarget,
    processes: Processes,
    shim: int,
    deadline: Deadline,
    moments: Moments | None = None,
    counted: bool = False,
) -> Target:
    """Everything about one container.

    Runs in a thread of its own: it ends in the container's network namespace.

    Args:
        target: which one.
        processes: all processes of the machine.
        shim: a process of the engine.
        deadline: of the whole run.
        moments: when to read a replica's failed handshakes; None where no connection is made.
        counted: read also the kernel's and a replica's counters.

    Raises:
        NotTheTarget: the process has ended, or another has its id.
    """
    try:
        found = identify(target, processes)
        read = _read(target, found, processes, shim, deadline, moments, counted)
        # If the process id was reused while we read, the evidence is of two processes.
        if not _is_still(found):
            raise NotTheTarget(f"process {found.pid} was replaced while it was read")
        return read
    finally:
        if moments:
            moments.read(target.name)


def _is_still(found: ProcEntry) -> bool:
    try:
        return process.read(found.pid).ticks == found.ticks
    except (FileNotFoundError, ProcessLookupError):
        raise NotTheTarget(f"process {found.pid} ended while it was read") from None


def _read(
    target: HaproxyTarget | ReplicaTarget,
    found: ProcEntry,
    processes: Processes,
    shim: int,
    deadline: Deadline,
    moments: Moments | None,
    counted: bool,
) -> Target:
    began = time.monotonic()
    pid = found.pid
    space = _enter(pid)
    failed = None
    if moments and isinstance(target, ReplicaTarget) and space.value is not None:
        # This comes first, because the connections wait for it.
        failed = FailedCount(target.metrics, target.name, moments, deadline)
    members = [p.pid for p in processes.values() if target.container in p.cgroup]
    running = _process(target, found, processes)
    cgroup = process.pids(pid, shim)
    config = process.file(pid, target.config)
    answers = None
    if isinstance(target, HaproxyTarget):
        answers = haproxy.answers(haproxy.Admin(pid, target.admin_socket, deadline))
    if space.value is None:
        values = dict.fromkeys(target.sysctls, space)
        fresh = dict.fromkeys(sockets.PROPERTIES, space)
        listeners = Listeners((), (), (space.error,))
    else:
        values = sysctls(target.sysctls)
        fresh = sockets.fresh()
        listeners = netns.listeners(members, lambda row: is_of(target, row))
    counts = counters.of(pid) if counted else None
    descriptors = counters.descriptors(members) if counted else NOT_READ
    memory = counters.memory(members) if counted else NOT_READ
    words = None
    if isinstance(target, ReplicaTarget):
        if space.value is None:
            words = telemt.unread(space, moments is not None, counted)
        else:
            words = telemt.answers(target, pid, deadline, failed, counted)
    return Target(
        process=running,
        cgroup=cgroup,
        config=config,
        netns=space,
        sysctls=values,
        fresh=fresh,
        listeners=listeners,
        ms=round((time.monotonic() - began) * 1000, 1),
        haproxy=answers,
        telemt=words,
        counters=counts,
        descriptors=descriptors,
        memory=memory,
    )


def _process(
    target: HaproxyTarget | ReplicaTarget, found: ProcEntry, processes: Processes
) -> Process:
    _, older = process.live_worker(target.pid, processes)
    return Process(
        pid=found.pid,
        comm=found.comm,
        ticks=found.ticks,
        started=process.started(found.ticks),
        older=tuple(OlderWorker(p.pid, process.started(p.ticks)) for p in older),
        limits=text(f"/proc/{found.pid}/limits"),
        status=process.status(found.pid),
        # The first process has the container's own limits; a worker may have lowered its own.
        first=target.pid,
        first_limits=text(f"/proc/{target.pid}/limits"),
    )


def is_of(target: HaproxyTarget | ReplicaTarget, listener: Listener) -> bool:
    """Whether a listener is the stack's own on this target."""
    if isinstance(target, HaproxyTarget):
        return listener.port == target.port
    if target.socket:
        return listener.path == target.socket
    if target.address is None or not listener.port:
        return False
    first = target.address[1]
    return first <= listener.port < first + target.ports


def _enter(pid: int) -> Reading[str]:
    """Enter the process's network namespace; return its name."""
    try:
        netns.enter(pid)
        here, there = netns.identity("thread-self"), netns.identity(pid)
    except OSError as problem:
        return Reading(error=f"network namespace: {failure(problem).error}")
    if here != there:
        return Reading(error=f"network namespace: in {here}, not in {there}")
    return Reading(here)
