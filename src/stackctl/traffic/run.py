"""The edge that starts the processes of a load, gathers their results, and leaves none behind."""

from __future__ import annotations

import json
import os
import selectors
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import IO, Any

from stackctl.errors import HostError
from stackctl.mtproto.model import Secret
from stackctl.traffic.model import LoadPlan, Tally
from stackctl.traffic.order import GO, HOLD, Order, dump_order, load_tally, orders

START_SECONDS = 30.0
SLACK_SECONDS = 15.0
"""A process is killed this long after its own deadline."""
END_SECONDS = 3.0
ENDED = "process-ended"
"""The cause of connections that were lost because their process ended."""


@dataclass(frozen=True, slots=True)
class Progress:
    """How far all processes are.

    Attributes:
        seconds: since the first connect().
        opening: whether connections are still being opened.
    """

    seconds: float
    opening: bool
    opened: int
    held: int
    failed: int
    lost: int


@dataclass(frozen=True, slots=True)
class Outcome:
    """The outcome of a load.

    Attributes:
        tally: of all processes together.
        problems: processes that ended too early, one sentence each.
        curve: seconds and connections held, in order of time.
    """

    tally: Tally
    problems: tuple[str, ...]
    curve: tuple[tuple[float, int], ...]


@dataclass(slots=True)
class Worker:
    """A process, and its last report."""

    process: subprocess.Popen[bytes]
    order: Order
    text: bytes = b""
    kind: str = ""
    told: dict[str, int] = field(default_factory=dict)
    tally: Tally | None = None
    gone: bool = False

    @property
    def output(self) -> IO[bytes]:
        """Its lines."""
        assert self.process.stdout is not None
        return self.process.stdout

    def say(self, word: bytes) -> None:
        """Write a line to it; whether it has ended shows when its output is read."""
        assert self.process.stdin is not None
        with suppress(BrokenPipeError):
            self.process.stdin.write(word.rstrip(b"\n") + b"\n")
            self.process.stdin.flush()

    def take(self, data: bytes) -> None:
        """Parse what it has written."""
        *lines, self.text = (self.text + data).split(b"\n")
        for line in lines:
            told: dict[str, Any] = json.loads(line)
            kind = told.pop("kind")
            if kind == "progress":
                self.told = told
                continue
            self.kind = kind
            if kind == "result":
                self.tally = load_tally(told["tally"])

    def result(self) -> Tally:
        """Its tally; for a process that ended, its connections count as failed or lost."""
        if self.tally is not None:
            return self.tally
        opened = self.told.get("opened", 0)
        never = self.order.load.connections - opened
        tally = Tally(opened=opened, held_highest=self.told.get("held", 0))
        if never:
            tally.failed[ENDED] = never
        if opened:
            tally.lost[ENDED] = opened
        return tally


class Crew:
    """All processes of one load."""

    def __init__(self, workers: Sequence[Worker]) -> None:
        self.workers = workers
        self.problems: list[str] = []
        self.curve: list[tuple[float, int]] = []
        self._selector = selectors.DefaultSelector()
        for worker in workers:
            os.set_blocking(worker.output.fileno(), False)
            self._selector.register(worker.output, selectors.EVENT_READ, worker)

    def say(self, word: bytes) -> None:
        """Write a line to all of them."""
        for worker in self.workers:
            worker.say(word)

    def until(self, kind: str, seconds: float, each: Callable[[], None]) -> None:
        """Read until each has reported `kind` or has ended; kill those that take longer."""
        deadline = time.monotonic() + seconds
        while waiting := [w for w in self.workers if w.kind != kind and not w.gone]:
            left = deadline - time.monotonic()
            if left <= 0:
                for worker in waiting:
                    worker.process.kill()
                    self._lost(worker, f"did not report {kind} within {seconds:.0f} s: killed")
                return
            for key, _ in self._selector.select(min(left, 0.2)):
                self._read(key.data)
            each()

    def _read(self, worker: Worker) -> None:
        data = os.read(worker.output.fileno(), 1 << 20)
        if data:
            worker.take(data)
            return
        status = worker.process.wait()
        how = f"signal {-status}" if status < 0 else f"status {status}"
        self._lost(worker, f"ended by itself, {how}, with {worker.told.get('held', 0)} held")

    def _lost(self, worker: Worker, how: str) -> None:
        worker.gone = True
        self._selector.unregister(worker.output)
        self.problems.append(f"process {worker.process.pid} of the load {how}")

    def total(self, name: str) -> int:
        """The sum over the last reports of the running processes."""
        return sum(w.told.get(name, 0) for w in self.workers if not w.gone)


def run_load(
    plan: LoadPlan,
    secrets: Sequence[Secret],
    each: Callable[[Progress], None],
    when_held: Callable[[], None],
) -> Outcome:
    """Open, hold and close; no process and no connection is left, however this ends.

    Args:
        plan: the plan of the load.
        secrets: users' secrets, used in turn; not needed for handshake none.
        each: called now and then.
        when_held: called once, after the opening and before the holding.

    Raises:
        HostError: no process could be started.
    """
    with _started(orders(plan, secrets, os.urandom(32))) as crew:
        began = time.monotonic()
        opening = True

        def told() -> None:
            seconds = time.monotonic() - began
            held = crew.total("held")
            if not crew.curve or seconds - crew.curve[-1][0] >= 0.2:
                crew.curve.append((round(seconds, 2), held))
            each(
                Progress(
                    seconds,
                    opening,
                    crew.total("opened"),
                    held,
                    crew.total("failed"),
                    crew.total("lost"),
                )
            )

        crew.until("ready", START_SECONDS, lambda: None)
        began = time.monotonic()
        crew.say(GO)
        crew.until("opened", plan.open_seconds + SLACK_SECONDS, told)
        opening = False
        when_held()
        crew.say(HOLD)
        crew.until("result", plan.load.hold + SLACK_SECONDS, told)
    tally = Tally()
    for worker in crew.workers:
        tally.add(worker.result())
    return Outcome(tally, tuple(crew.problems), tuple(crew.curve))


@contextmanager
def _started(given: Sequence[Order]) -> Iterator[Crew]:
    workers: list[Worker] = []
    try:
        for order in given:
            workers.append(Worker(_process(), order))
            workers[-1].say(dump_order(order))
        yield Crew(workers)
    finally:
        _end(workers)


def _process() -> subprocess.Popen[bytes]:
    try:
        return subprocess.Popen(
            # -P: a folder `stackctl` in the current folder must not hide the package.
            [sys.executable, "-P", "-m", "stackctl.traffic.worker"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            # A process group of its own: Ctrl-C reaches this process, which stops the others.
            process_group=0,
        )
    except OSError as error:
        raise HostError(
            f"a process of the load could not be started: {error.strerror}",
            "free memory or processes on this machine, or open fewer connections",
        ) from error


def _end(workers: Sequence[Worker]) -> None:
    """End them all: close their stdin, and kill those that do not end."""
    for worker in workers:
        assert worker.process.stdin is not None
        with suppress(BrokenPipeError):
            worker.process.stdin.close()
    deadline = time.monotonic() + END_SECONDS
    for worker in workers:
        try:
            worker.process.wait(max(0.0, deadline - time.monotonic()))
        except subprocess.TimeoutExpired:
            worker.process.kill()
            worker.process.wait()
        worker.output.close()
