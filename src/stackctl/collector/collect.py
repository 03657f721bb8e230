"""The whole run: one thread for the host, one for each target, one for the connections."""

from __future__ import annotations

import math
import os
import threading
import time
from collections.abc import Callable
from functools import partial
from typing import Any

from stackctl.collector import VERSION, arrivals, hostfacts, procs
from stackctl.collector.reading import Deadline, failure
from stackctl.collector.target import NotTheTarget, identify
from stackctl.collector.target import collect as collect_target

DEADLINE = 15.0
"""Seconds the whole run may take, or as long as its handshakes; what is not done by then is
reported as such."""

_EACH = 0.00036
"""Seconds more for each connection that HAProxy may have to tell of, some four times."""

_MOST = 105.0
"""The engine's client waits for 120 s."""

_ENDING = 3.0

Request = dict[str, Any]


class Runs:
    """Named steps in threads; each has its result, or the error that stands for it.

    setns moves a thread alone, so every step that enters a namespace needs one of its own.
    """

    def __init__(self) -> None:
        self.results: dict[str, Any] = {}
        self.timing: dict[str, float] = {}
        self._threads: list[tuple[str, threading.Thread]] = []

    def start(self, name: str, step: Callable[[], Any]) -> None:
        """Run `step`; its return value or its failure will stand under `name`."""
        thread = threading.Thread(target=self._run, args=(name, step), daemon=True)
        self._threads.append((name, thread))
        thread.start()

    def _run(self, name: str, step: Callable[[], Any]) -> None:
        began = time.monotonic()
        try:
            result = step()
        except Exception as problem:  # noqa: BLE001 - one failed step must not hide the others
            result = failure(problem)
        self.timing[name] = round((time.monotonic() - began) * 1000, 1)
        self.results[name] = result

    def wait(self, deadline: Deadline) -> None:
        """Until all are done or the deadline has come."""
        for name, thread in self._threads:
            thread.join(deadline.left(math.inf))
            if thread.is_alive():
                self.results.setdefault(name, {"error": f"not done within {deadline.seconds:g} s"})


def run(request: Request) -> dict[str, Any]:
    """The response to one request."""
    began, wall = time.monotonic(), time.time()
    if request.get("version") != VERSION:
        return {"version": VERSION, "error": f"request version {request.get('version')!r}"}
    asked = request.get("handshakes")
    listing = min(DEADLINE + _EACH * int(request["connections"]), _MOST)
    deadline = Deadline(max(listing, float(asked["seconds"]) + _ENDING if asked else 0.0))
    runs = Runs()
    shim = os.getppid()
    processes = procs.walk()
    walked = time.monotonic()
    keys = list(request["host"]["sysctls"])
    moments = None
    if request.get("client"):
        counted = [target["name"] for target in request["targets"] if target.get("metrics")]
        moments = arrivals.Moments(counted)
        runs.start("clients", partial(_clients, request, processes, moments, deadline))
    if asked:
        runs.start("handshakes", partial(_handshakes, request, processes, deadline))
    for target in request["targets"]:
        step = partial(collect_target, target, processes, shim, deadline, moments)
        runs.start(f"target {target['name']}", step)
    runs.start("host", lambda: hostfacts.collect(keys, processes, shim))
    runs.wait(deadline)
    clients = runs.results.get("clients", [])
    failed = isinstance(clients, dict)
    return {
        "version": VERSION,
        "request": _without_secrets(request),
        "began": wall,
        "facts": runs.results["host"],
        "targets": {t["name"]: _result(runs, t) for t in request["targets"]},
        "clients": [] if failed else clients,
        "client_error": clients["error"] if failed else "",
        "handshakes": runs.results.get("handshakes"),
        "timing": {
            **runs.timing,
            "walk": round((walked - began) * 1000, 1),
            "all": round((time.monotonic() - began) * 1000, 1),
        },
    }


def _result(runs: Runs, target: dict[str, Any]) -> dict[str, Any]:
    identity = {"role": target["role"], "name": target["name"]}
    return {**identity, **runs.results[f"target {target['name']}"]}


def _without_secrets(request: Request) -> Request:
    asked = request.get("handshakes")
    if not asked:
        return request
    return {**request, "handshakes": {**asked, "users": list(asked["users"])}}


def _handshakes(
    request: Request, processes: dict[int, procs.Process], deadline: Deadline
) -> dict[str, Any]:
    # Loaded only when asked for: cryptography takes longer to load than the rest takes to run.
    from stackctl.collector import handshakes

    return handshakes.collect(request, processes, deadline)


def _clients(
    request: Request,
    processes: dict[int, procs.Process],
    moments: arrivals.Moments,
    deadline: Deadline,
) -> list[dict[str, Any]]:
    # ctypes, for pidfd_getfd, is loaded beside the other threads' work.
    from stackctl.collector import traffic

    records: list[dict[str, Any]] = []
    try:
        for target in request["targets"]:
            if target["role"] == "haproxy":
                worker = identify(target, processes).pid
                records = traffic.collect(worker, target, request["client"], deadline, moments)
                return records
        raise NotTheTarget("connections were asked for, and no haproxy")
    finally:
        moments.over(records)
