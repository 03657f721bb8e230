"""A burst of clients while every replica is stopped: how many are late, how many are refused."""

from __future__ import annotations

import os
import resource
import signal
import tempfile
import time
from contextlib import ExitStack, suppress
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from benchmarks.ahead import ahead
from benchmarks.measure import BenchmarkError, Figure, compile_stackctl, interleave, machine, main
from benchmarks.processes import tcp_counters
from benchmarks.table import Quantities, Table, picture, publish_table
from benchmarks.topologies import SOURCES, Running, guide, naive, own_host, parts, rendered
from benchmarks.traffic import build_traffic
from stackctl.operate.check import free_port
from stackctl.report.chart import bars
from tests.doubles.sink import build

CLIENTS = 5000
STALL_SECONDS = 0.2
CALM_SECONDS = 1.0
"""Between rounds, so that what the last one left is gone: resets, health checks that were late."""

UNIX = "as rendered, unix links"
TCP = "as rendered, TCP links"
GUIDE = "guide's literal configuration"
NAIVE = "naive compose file"
LATE, FAILED = "late", "failed"
COUNTERS = {"SYNs sent again": "TCPSynRetrans", "queue overflows": "ListenOverflows"}


def stack(link: str) -> dict[str, Any]:
    """stack.yaml: on the host's network, as production is."""
    return {
        "connections": 8000,
        "replicas": 2,
        "network": "host",
        "link": link,
        "balance": "leastconn",
    }


def inside(running: Running) -> Running:
    """The same, for clients in HAProxy's own namespace: the way to it has no part in this."""
    port = running.own_port or running.port
    pid = running.haproxy[0]
    return replace(running, host="127.0.0.1", port=port, namespace=pid, sources=SOURCES)


def once(running: Running, program: Path) -> Quantities:
    """One burst; the replicas are stopped when it begins and continue 200 ms later."""
    time.sleep(CALM_SECONDS)
    before = tcp_counters((*running.haproxy, *running.replicas))
    with running.clients(program) as clients:
        try:
            for pid in running.replicas:
                os.kill(pid, signal.SIGSTOP)
            clients.begin_open(CLIENTS, in_flight=CLIENTS)
            time.sleep(STALL_SECONDS)
        finally:
            for pid in running.replicas:
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGCONT)
        came = clients.opened()
        after = tcp_counters((*running.haproxy, *running.replicas))
        if came.opened + came.failed != CLIENTS:
            raise BenchmarkError(f"{came.opened} and {came.failed} are not {CLIENTS} clients")
        return {
            LATE: came.late,
            FAILED: came.failed,
            "ms, median": came.p50 / 1000,
            "ms, 99th of 100": came.p99 / 1000,
            "ms, last": came.max / 1000,
            **{name: after[key] - before[key] for name, key in COUNTERS.items()},
        }


def measure(repeats: int) -> None:
    """Start all of them, measure in turns, publish."""
    compile_stackctl()
    with tempfile.TemporaryDirectory(prefix="stackctl-bench-") as folder, ExitStack() as running:
        sink, program = build(Path(folder)), build_traffic(Path(folder))
        hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
        made = running.enter_context(parts(sink, min(hard, 1 << 20)))
        host, _ = running.enter_context(own_host(made))
        places = {
            GUIDE: running.enter_context(guide(made, program)),
            NAIVE: running.enter_context(naive(made, program, free_port())),
            TCP: running.enter_context(rendered(made, stack("tcp"), host=host)),
            UNIX: running.enter_context(rendered(made, stack("unix"), host=host)),
        }
        places = {name: inside(place) for name, place in places.items()}
        about = machine(made.engine.version)
        adopt = running.enter_context(ahead())
        for place in places.values():
            adopt((*place.haproxy, *place.replicas))
        cases = {name: partial(once, place, program) for name, place in places.items()}
        table = Table.of(interleave(cases, repeats))
    figures = [
        Figure(
            f"{case}: {quantity}, in the worst round",
            table.rows[case][quantity].max,
            0,
            f"of {CLIENTS}",
            f"the last answer came after {table.rows[case]['ms, last'].max:.0f} ms; the load was "
            f"{about['load']} on {about['cpus']} cpus",
        )
        for case in (UNIX, TCP)
        for quantity in (FAILED, LATE)
    ]
    publish_table("burst", table, figures, about, first=GUIDE, ratios=())
    counts = {q: {case: table.median(case, q) for case in table.rows} for q in (LATE, FAILED)}
    title = f"{CLIENTS:,} clients at once while every replica stands still for 200 ms"
    picture("burst", bars(title, "clients, median of the rounds", counts))


if __name__ == "__main__":
    main(__doc__, measure)
