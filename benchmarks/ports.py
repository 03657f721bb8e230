"""What one more connection costs HAProxy as ports run out: the last quarter beside the first."""

from __future__ import annotations

import resource
import statistics
import tempfile
import time
from collections.abc import Sequence
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import Any

from benchmarks.ahead import ahead
from benchmarks.burst import inside
from benchmarks.measure import BenchmarkError, Figure, compile_stackctl, interleave, machine, main
from benchmarks.processes import cpu_seconds
from benchmarks.table import Quantities, Table, picture, publish_table
from benchmarks.topologies import Running, guide, parts, rendered
from benchmarks.traffic import build_traffic
from stackctl.report.chart import curves
from tests.doubles.sink import build

LOW, HIGH = 20000, 30499
"""The port range: one HAProxy of at most 20,000 descriptors fills nine tenths of it."""

CONNECTIONS = 9440
STEPS = 16
LIMIT = 1.3
CALM_SECONDS = 2.0

UNIX = "as rendered, unix links"
TCP = "as rendered, TCP links to 3 replicas"
GUIDE = "guide's one server over TCP"
RATIO = "last quarter / first"


def stack(link: str, replicas: int) -> dict[str, Any]:
    """stack.yaml with the small port range in its namespaces."""
    return {
        "connections": CONNECTIONS,
        "replicas": replicas,
        "network": "bridge",
        "link": link,
        "balance": "leastconn",
        "limits": {"mode": "fit", "net.ipv4.ip_local_port_range": [LOW, HIGH]},
    }


def once(running: Running, program: Path) -> Sequence[float]:
    """Open the planned number in steps; HAProxy's microseconds for each connection of a step."""
    time.sleep(CALM_SECONDS)
    costs = []
    with running.clients(program) as clients:
        for _ in range(STEPS):
            before = cpu_seconds(running.haproxy)
            came = clients.open(CONNECTIONS // STEPS)
            if came.failed:
                raise BenchmarkError(f"{came.failed} connections failed: {came.causes}")
            costs.append((cpu_seconds(running.haproxy) - before) / came.opened * 1e6)
        if clients.held().held != CONNECTIONS:
            raise BenchmarkError("not every connection was held")
    return costs


def quantities(costs: Sequence[float]) -> Quantities:
    """The costs of one round, summed up."""
    first, last = quarters(costs)
    return {
        RATIO: last / first,
        "us each, first quarter": first,
        "us each, last quarter": last,
    }


def quarters(costs: Sequence[float]) -> tuple[float, float]:
    """The means of the first and of the last quarter of equal steps, four or a multiple."""
    size = len(costs) // 4
    return statistics.fmean(costs[:size]), statistics.fmean(costs[-size:])


def measure(repeats: int) -> None:
    """Start all of them, measure in turns, publish."""
    compile_stackctl()
    with tempfile.TemporaryDirectory(prefix="stackctl-bench-") as folder, ExitStack() as running:
        sink, program = build(Path(folder)), build_traffic(Path(folder))
        hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
        made = running.enter_context(parts(sink, min(hard, 1 << 20)))
        places = {
            GUIDE: running.enter_context(guide(made, program, f"{LOW} {HIGH}")),
            TCP: running.enter_context(rendered(made, stack("tcp", 3))),
            UNIX: running.enter_context(rendered(made, stack("unix", 2))),
        }
        places = {name: inside(place) for name, place in places.items()}
        about = machine(made.engine.version)
        adopt = running.enter_context(ahead())
        for place in places.values():
            adopt((*place.haproxy, *place.replicas))
        cases = {name: partial(once, place, program) for name, place in places.items()}
        samples = interleave(cases, repeats)
    table = Table.of({case: [quantities(costs) for costs in samples[case]] for case in samples})
    steps = {
        case: [round(statistics.median(step), 1) for step in zip(*samples[case], strict=True)]
        for case in samples
    }
    figures = [
        Figure(
            f"{case}: HAProxy's time for a connection, last quarter of {CONNECTIONS} to first",
            table.median(case, RATIO),
            LIMIT,
            "times",
            f"rounds gave {table.rows[case][RATIO].min:.2f} to {table.rows[case][RATIO].max:.2f}",
        )
        for case in (UNIX, TCP)
    ]
    more = {"ports": HIGH - LOW + 1, "connections": CONNECTIONS, "us_each_by_step": steps}
    publish_table("ports", table, figures, about, first=UNIX, ratios=(RATIO,), more=more)
    held = [CONNECTIONS // STEPS * n for n in range(1, STEPS + 1)]
    lines = {case: list(zip(held, costs, strict=True)) for case, costs in steps.items()}
    title = f"HAProxy's time for one more connection, {HIGH - LOW + 1:,} ports"
    picture("ports", curves(title, "connections held", "microseconds of a cpu", lines))


if __name__ == "__main__":
    main(__doc__, measure)
