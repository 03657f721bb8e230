"""One target of the stack: its process, its namespace, its files, its own words."""

from __future__ import annotations

import time
from typing import Any

from stackctl.collector import admin, api, arrivals, cgroup, counters, fresh, netns, procs
from stackctl.collector.reading import Deadline, failure, sysctls, text

Target = dict[str, Any]


class NotTheTarget(Exception):
    """The process is gone, or is not the one that was asked for."""


def identify(target: Target, processes: dict[int, procs.Process]) -> procs.Process:
    """The process to look at, held against the container id; HAProxy's live worker.

    Raises:
        NotTheTarget: no such process, or it belongs to another container.
    """
    pid = int(target["pid"])
    process = processes.get(pid)
    if process is None:
        raise NotTheTarget(f"process {pid} does not exist")
    if str(target["container"]) not in process.cgroup:
        raise NotTheTarget(f"process {pid} is not in container {str(target['container'])[:12]}")
    if target["role"] == "haproxy":
        return procs.live_worker(pid, processes)[0]
    return process


def collect(
    target: Target,
    processes: dict[int, procs.Process],
    shim: int,
    deadline: Deadline,
    moments: arrivals.Moments | None = None,
) -> dict[str, Any]:
    """Everything about one target; a failure stands under "error".

    Runs in a thread of its own: it ends in the target's network namespace. With `moments` it also
    reads what a replica counts before and after the probe's connections.
    """
    began = time.monotonic()
    found: dict[str, Any] = {"role": target["role"], "name": target["name"]}
    try:
        process = identify(target, processes)
        _read(found, target, process, processes, shim, deadline, moments)
        # A process id given out again while we read would have mixed two processes' evidence.
        if procs.read(process.pid).ticks != process.ticks:
            raise NotTheTarget(f"process {process.pid} was replaced while it was read")
    except (OSError, ValueError, LookupError, NotTheTarget) as problem:
        words = str(problem) if isinstance(problem, NotTheTarget) else failure(problem)["error"]
        found = {"role": target["role"], "name": target["name"], "error": words}
    finally:
        if moments:
            moments.read(str(target["name"]))
    found["ms"] = round((time.monotonic() - began) * 1000, 1)
    return found


def _read(
    found: dict[str, Any],
    target: Target,
    process: procs.Process,
    processes: dict[int, procs.Process],
    shim: int,
    deadline: Deadline,
    moments: arrivals.Moments | None,
) -> None:
    pid = process.pid
    try:
        space = _enter(pid)
    except OSError as problem:
        space = netns.unread(problem)
    count = None
    if moments and target.get("metrics") and "error" not in space:
        # Before anything else: the connections wait for it.
        host, port = target["metrics"]
        count = arrivals.Count((str(host), int(port)), str(target["name"]), moments, deadline)
    older = procs.live_worker(int(target["pid"]), processes)[1]
    found["process"] = {
        "pid": pid,
        "comm": process.comm,
        "ticks": process.ticks,
        "started": procs.started(process.ticks),
        "older": [{"pid": p.pid, "started": procs.started(p.ticks)} for p in older],
        "limits": text(f"/proc/{pid}/limits"),
        "status": procs.status(pid),
        # What the container was given: a worker may have lowered its own.
        "first": {"pid": int(target["pid"]), "limits": text(f"/proc/{target['pid']}/limits")},
    }
    found["cgroup"] = cgroup.pids(pid, shim)
    if target.get("config"):
        found["config"] = procs.config(pid, target["config"])
    if target["role"] == "haproxy":
        found["admin"] = admin.readings(admin.Admin(pid, target["admin_socket"], deadline))
    members = [p.pid for p in processes.values() if str(target["container"]) in p.cgroup]
    found["netns"] = space
    if "error" in space:
        _unread(found, target, space)
    else:
        _in_namespace(found, target, pid, members, deadline)
    if count:
        found["beobachten"] = count.reading()


def asked_for(row: dict[str, Any], target: Target) -> bool:
    """Whether a listener is the one the stack has on this target."""
    if target["role"] == "haproxy":
        return bool(row.get("port") == target["port"])
    listener = target.get("listener") or {}
    if "unix" in listener:
        return bool(row.get("path") == listener["unix"])
    if "tcp" not in listener or "port" not in row:
        return False
    first = listener["tcp"][1]
    return bool(first <= row["port"] < first + listener.get("ports", 1))


def _enter(pid: int) -> dict[str, Any]:
    netns.enter(pid)
    here, there = netns.identity("thread-self"), netns.identity(pid)
    if here != there:
        raise OSError(1, f"in {here}, not in {there}")
    return {"text": here}


def _unread(found: dict[str, Any], target: Target, why: dict[str, Any]) -> None:
    found["sysctls"] = dict.fromkeys(target["sysctls"], why)
    found["fresh"] = dict.fromkeys(fresh.PROPERTIES, why)
    found["listeners"] = {"tcp": [], "unix": [], "errors": [why["error"]]}
    if target.get("api"):
        found["api"] = dict.fromkeys(api.PATHS, why)
    if target.get("metrics"):
        found["beobachten"] = why
    if target.get("counters"):
        found["counters"] = why


def _in_namespace(
    found: dict[str, Any], target: Target, pid: int, members: list[int], deadline: Deadline
) -> None:
    found["sysctls"] = sysctls(list(target["sysctls"]))
    found["fresh"] = fresh.readings()
    found["listeners"] = netns.listeners(members, lambda row: asked_for(row, target))
    if target.get("api"):
        host, port = target["api"]
        found["api"] = api.readings((str(host), int(port)), pid, target["users"], deadline)
    if target.get("counters"):
        host, port = target["metrics"]
        found["counters"] = counters.refused((str(host), int(port)), deadline)
