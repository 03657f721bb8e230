"""Stacks brought to where the capacity model says they break: at which number, and of what."""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from math import ceil
from typing import Any

from benchmarks.lab import Lab, lab
from benchmarks.measure import (
    RESULTS,
    BenchmarkError,
    Figure,
    described,
    machine,
    main,
    run,
    stackctl_command,
    write,
)
from benchmarks.narrow import (
    CASES,
    Fill,
    Narrow,
    all_up,
    descriptors,
    ended_for_memory,
    haproxy,
    replicas,
    restarts,
)
from stackctl.engine import Engine
from stackctl.plan.predict import Ceiling, predict

REPLICAS = 2
LIMIT = 0.03
"""How far the break may lie from the prediction, as a share of it."""

BEYOND = 1.1
"""So many times the predicted clients come."""

TIMEOUT = 30
"""Seconds: a machine that is busy with others answers late, and that is no limit."""
HOLD = 4
"""Long enough for a line of progress, every two seconds."""
SETTLE_SECONDS = 120.0
"""A replica that could not reach the data centre tries again after 30 s, and is up three good
checks later."""


@dataclass(frozen=True, slots=True)
class Break:
    """One stack brought to its end.

    Attributes:
        predicted: clients that would get in.
        came: clients that tried.
        got_in: clients that were held at once.
        fill: of the predicted place, with all held; None where nothing is left to read.
        causes: of clients that did not get in or were lost, and how many.
        rows: of the limits table that these causes and the counters that moved point at.
        out_of_memory: the kernel ended a process of HAProxy's container for memory.
    """

    predicted: int
    came: int
    got_in: int
    fill: Fill | None
    causes: Mapping[str, int]
    rows: tuple[str, ...]
    out_of_memory: bool

    @property
    def off(self) -> float:
        """How far the break lies from the prediction, as a share of it."""
        return abs(self.got_in - self.predicted) / self.predicted

    def by(self, case: Narrow) -> bool:
        """Whether it broke, and by the predicted cause: its place full, its row pointed at."""
        if case.fill is None:
            return self.out_of_memory
        full = self.fill is not None and self.fill.used >= (1 - LIMIT) * self.fill.size
        return self.got_in < self.came and full and case.limit in self.rows


def measure(repeats: int, cases: Sequence[Narrow] = CASES) -> None:
    """Break each stack as often as asked, one after another; each is published as it is done.

    They are not compared with each other, so they are not interleaved: as many stacks side by
    side would take the processors from the one that is measured.
    """
    engine = Engine.connect()
    for case in cases:
        about = machine(engine.version)
        _publish(case, about, _break(engine, case, repeats))


def _break(engine: Engine, case: Narrow, repeats: int) -> list[Break]:
    with lab(engine, REPLICAS, case.template) as one:
        _up(one)
        idle = [descriptors(c.pid) for c in replicas(one)]
        found = []
        for number in range(repeats):
            found.append(_once(one, case))
            print(f"  {case.name}, {number + 1} of {repeats}: {found[-1]}", file=sys.stderr)
            _settle(one, idle)
        return found


def _up(one: Lab) -> None:
    """Start it; a busy machine's handshakes may take longer than its proof allows, so try again."""
    for attempt in range(3):
        try:
            run(stackctl_command("up", "-f", one.file))
        except BenchmarkError:
            if attempt == 2:
                raise
        else:
            return


def _once(one: Lab, case: Narrow) -> Break:
    before = restarts(one)
    with case.made(one) as granted:
        first: Ceiling = predict(granted)[0]
        if (first.limit, first.where) != (case.limit, case.where):
            raise BenchmarkError(f"{case.name}: the model says {first.limit} of {first.where}")
        came = ceil(first.holds * BEYOND)
        said, fill = _load(one, case, came)
    causes: dict[str, int] = {}
    rows: list[str] = []
    for caused in (said["failed"], said["lost"]):
        for cause, about in caused.items():
            causes[cause] = causes.get(cause, 0) + about["count"]
            rows += about["limits"]
    for counter in said["counters"]:
        rows += counter["limits"]
    lost = sum(about["count"] for about in said["lost"].values())
    return Break(
        predicted=first.holds,
        came=came,
        # Where everything was lost at once, that is what was in.
        got_in=max(lost, said["held"]),
        fill=fill,
        causes=causes,
        rows=tuple(dict.fromkeys(rows)),
        out_of_memory=restarts(one) > before and ended_for_memory(one),
    )


def _load(one: Lab, case: Narrow, came: int) -> tuple[dict[str, Any], Fill | None]:
    """The load's own account, and how full the place was while the load held."""
    pace = ["--rate", str(case.rate), "--timeout", str(TIMEOUT), "--hold", str(HOLD)]
    argv = stackctl_command("load", "-f", one.file, "-n", str(came), *pace, "--json")
    fill = None
    process = subprocess.Popen(argv, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    try:
        assert process.stderr is not None
        words = []
        for line in process.stderr:
            words.append(line)
            if case.fill and "holding" in line and fill is None:
                fill = case.fill(one)
        text, _ = process.communicate(timeout=120)
    finally:
        if process.poll() is None:
            process.terminate()
            process.wait()
    if process.returncode not in {0, 1}:
        raise BenchmarkError(f"load ended with {process.returncode}: {''.join(words[-3:])}")
    said: dict[str, Any] = json.loads(text)
    return said, fill


def _settle(one: Lab, idle: Sequence[int]) -> None:
    """Wait until the last round's clients are gone and HAProxy is up again."""
    end = time.monotonic() + SETTLE_SECONDS
    while time.monotonic() < end:
        now = [descriptors(c.pid) for c in replicas(one) if c.pid]
        gone = len(now) == len(idle) and all(a <= b + 2 for a, b in zip(now, idle, strict=True))
        if gone and haproxy(one).health == "healthy" and all_up(one):
            return
        time.sleep(0.5)
    raise BenchmarkError(f"{one.name}: the clients of a round were not gone in {SETTLE_SECONDS} s")


def _figure(case: Narrow, broken: Sequence[Break]) -> Figure:
    off = statistics.median(one.off for one in broken)
    by = sum(one.by(case) for one in broken)
    worst = max(broken, key=lambda one: one.off)
    reason = (
        f"at worst {worst.got_in} got in where {worst.predicted} were predicted; by the predicted "
        f"cause in {by} of {len(broken)}"
    )
    # A break of another cause has no distance from this prediction.
    value = off if by == len(broken) else max(off, 1.0)
    name = f"{case.name}: {case.limit} of {case.where}, distance of break and prediction"
    return Figure(name, value, LIMIT, "of the predicted number", reason)


def _publish(case: Narrow, about: Mapping[str, Any], broken: Sequence[Break]) -> None:
    """Print the case, and put it in its place in results/breaking.json."""
    figure = _figure(case, broken)
    print(f"\n{case.name}: {', '.join(f'{key} {value}' for key, value in about.items())}")
    for one in broken:
        fill = f"; {one.fill.used} of {one.fill.size} used" if one.fill else ""
        causes = ", ".join(f"{number} {cause}" for cause, number in one.causes.items())
        print(
            f"  {one.predicted} predicted, {one.got_in} got in, {one.off:.2%} off{fill}; {causes}"
        )
    print(f"  {figure.sentence()}")
    file = RESULTS / "breaking.json"
    found = json.loads(file.read_text())["cases"] if file.exists() else {}
    found[case.name] = {
        "machine": dict(about),
        "repeats": len(broken),
        "by_predicted_cause": sum(one.by(case) for one in broken),
        "runs": [{**asdict(one), "off": round(one.off, 4)} for one in broken],
        "figure": described(figure),
    }
    ordered = {each.name: found[each.name] for each in CASES if each.name in found}
    write("breaking", {"benchmark": "breaking", "cases": ordered})


if __name__ == "__main__":
    main(__doc__, measure)
