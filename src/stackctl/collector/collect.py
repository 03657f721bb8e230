"""The whole run: one thread for the host, one for each target, one for the connections."""

from __future__ import annotations

import math
import os
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Generic, TypeVar

from stackctl.collector import host, process, target
from stackctl.collector.answer import VERSION, Answer, Connection, Handshakes, Reading
from stackctl.collector.process import Processes
from stackctl.collector.reading import Deadline, failure
from stackctl.collector.request import Request
from stackctl.collector.telemt import Moments

DEADLINE = 15.0
"""Seconds that the whole run may take, unless its handshakes may take longer. A step that is not
done by then is reported as an error."""

_EACH = 0.00036
"""More seconds for each connection: HAProxy may have to list it, about four times."""

_MOST = 105.0
"""The longest run: the engine's client waits for 120 s."""

_ENDING = 3.0

T = TypeVar("T")


class StepThread(Generic[T]):
    """A step of the run in a thread of its own: its result, or an error in place of it.

    setns() moves only the calling thread, so every step that enters a namespace needs its own.
    """

    def __init__(self, name: str, step: Callable[[], T]) -> None:
        """Start it."""
        self.name = name
        self.ms: float | None = None
        self._step = step
        self._result: Reading[T] | None = None
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self) -> None:
        began = time.monotonic()
        try:
            result = Reading(self._step())
        except Exception as problem:  # noqa: BLE001 - one failed step must not hide the others
            result = failure(problem)
        self.ms = round((time.monotonic() - began) * 1000, 1)
        self._result = result

    def result(self, deadline: Deadline) -> Reading[T]:
        """Its result, once it is done; an error once the deadline has passed."""
        self._thread.join(deadline.left(math.inf))
        return self._result or Reading(error=f"not done within {deadline.seconds:g} s")


def run(request: Request) -> Answer:
    """The answer to one request."""
    began, wall = time.monotonic(), time.time()
    asked = request.handshakes
    listing = min(DEADLINE + _EACH * request.connections, _MOST)
    deadline = Deadline(max(listing, asked.seconds + _ENDING if asked else 0.0))
    shim = os.getppid()
    processes = process.walk()
    walked = time.monotonic()
    clients: StepThread[tuple[Connection, ...]] | None = None
    handshakes: StepThread[Handshakes] | None = None
    moments = None
    if request.clients:
        moments = Moments(replica.name for replica in request.replicas)
        clients = StepThread("clients", partial(_clients, request, processes, moments, deadline))
    if asked:
        step = partial(_handshakes, request, processes, deadline)
        handshakes = StepThread("handshakes", step)
    named = (*((request.haproxy,) if request.haproxy else ()), *request.replicas)
    targets = {
        one.name: StepThread(
            f"target {one.name}",
            partial(
                target.collect, one, processes, shim, deadline, moments, counted=request.counters
            ),
        )
        for one in named
    }
    machine = StepThread(
        "host", partial(host.collect, request.sysctls, processes, shim, request.counters)
    )
    answer = Answer(
        version=VERSION,
        request=_without_secrets(request),
        began=wall,
        host=machine.result(deadline),
        targets={name: one.result(deadline) for name, one in targets.items()},
        clients=clients.result(deadline) if clients else Reading(()),
        handshakes=handshakes.result(deadline) if handshakes else None,
        timing={},
    )
    steps = [step for step in (clients, handshakes, *targets.values(), machine) if step]
    return replace(
        answer,
        timing={
            **{step.name: step.ms for step in steps if step.ms is not None},
            "walk": round((walked - began) * 1000, 1),
            "all": round((time.monotonic() - began) * 1000, 1),
        },
    )


def _without_secrets(request: Request) -> Request:
    asked = request.handshakes
    return replace(request, handshakes=replace(asked, users={})) if asked else request


def _handshakes(request: Request, processes: Processes, deadline: Deadline) -> Handshakes:
    # Loaded only when needed: loading cryptography takes longer than the rest of the run.
    from stackctl.collector import handshakes

    return handshakes.collect(request, processes, deadline)


def _clients(
    request: Request, processes: Processes, moments: Moments, deadline: Deadline
) -> tuple[Connection, ...]:
    from stackctl.collector import clients

    made: tuple[Connection, ...] = ()
    try:
        if request.haproxy is None or request.clients is None:
            raise target.NotTheTarget("connections were asked for without a haproxy target")
        worker = target.identify(request.haproxy, processes).pid
        made = clients.collect(worker, request.haproxy, request.clients, deadline, moments)
        return made
    finally:
        moments.over(made)
