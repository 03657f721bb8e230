"""Memory of clients that ask for much and then stop reading: how many such clients fill a GiB."""

from __future__ import annotations

import resource
import tempfile
import time
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import Any

from benchmarks.ahead import ahead
from benchmarks.burst import inside
from benchmarks.measure import BenchmarkError, Figure, compile_stackctl, interleave, machine, main
from benchmarks.processes import resident_bytes
from benchmarks.sockets import charged
from benchmarks.table import Quantities, Table, picture, publish_table
from benchmarks.topologies import Running, guide, naive, parts, rendered
from benchmarks.traffic import build_traffic
from stackctl.operate.check import free_port
from stackctl.plan.sizes import KERNEL_BYTES
from stackctl.report.chart import bars
from tests.doubles.sink import build

READ_SECONDS = 3.0
"""They read for so long before they stop: sockets have grown by then, as far as they may."""

SETTLE_SECONDS = 2.0
GIB, MIB = 1 << 30, 1 << 20
LEAST_TIMES = 20

DENSITY = "as rendered, buffers: density"
DENSITY_TCP = "as rendered, buffers: density, TCP links"
THROUGHPUT = "as rendered, buffers: throughput"
GUIDE = "guide's buffers, one server over TCP"
NAIVE = "naive compose file"
EACH, A_GIB = "MiB each", "readers a GiB holds"
SOCKETS, PROCESSES = "MiB each, sockets", "MiB each, processes"
CLIENTS = "MiB each, at the client"


def stack(link: str, buffers: str) -> dict[str, Any]:
    """stack.yaml with bounded or free buffers."""
    return {
        "connections": 8000,
        "replicas": 2,
        "network": "bridge",
        "link": link,
        "balance": "leastconn",
        "buffers": buffers,
    }


def once(running: Running, link: str, program: Path, readers: int) -> Quantities:
    """So many readers: what sockets are charged with and what processes grew by.

    What an idle connection takes of the kernel besides is the capacity model's figure.
    """
    own = (*running.haproxy, *running.replicas)
    before, resident = charged(own, running.port), resident_bytes(own)
    with running.clients(program) as clients:
        came = clients.open(readers, bulk=True)
        if came.failed:
            raise BenchmarkError(f"{came.failed} readers failed: {came.causes}")
        clients.read(READ_SECONDS)
        time.sleep(SETTLE_SECONDS)
        now = charged(own, running.port)
        processes = max(0, resident_bytes(own) - resident)
        if (held := clients.held().held) != readers:
            raise BenchmarkError(f"{held} of {readers} readers were held")
    sockets = now.stack - before.stack
    each = (sockets + processes) / readers + KERNEL_BYTES[link]
    return {
        EACH: each / MIB,
        SOCKETS: sockets / readers / MIB,
        PROCESSES: processes / readers / MIB,
        CLIENTS: (now.clients - before.clients) / readers / MIB,
        A_GIB: GIB / each,
    }


def measure(repeats: int) -> None:
    """Start all of them, measure in turns, publish."""
    compile_stackctl()
    with tempfile.TemporaryDirectory(prefix="stackctl-bench-") as folder, ExitStack() as running:
        sink, program = build(Path(folder)), build_traffic(Path(folder))
        hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
        made = running.enter_context(parts(sink, min(hard, 1 << 20)))
        places = {
            GUIDE: (running.enter_context(guide(made, program)), "tcp", 150),
            NAIVE: (running.enter_context(naive(made, program, free_port())), "tcp", 150),
            THROUGHPUT: (
                running.enter_context(rendered(made, stack("unix", "throughput"))),
                "unix",
                150,
            ),
            DENSITY_TCP: (
                running.enter_context(rendered(made, stack("tcp", "density"))),
                "tcp",
                300,
            ),
            DENSITY: (running.enter_context(rendered(made, stack("unix", "density"))), "unix", 300),
        }
        about = machine(made.engine.version)
        adopt = running.enter_context(ahead())
        for place, _, _ in places.values():
            adopt((*place.haproxy, *place.replicas))
        cases = {
            name: partial(once, inside(place), link, program, readers)
            for name, (place, link, readers) in places.items()
        }
        table = Table.of(interleave(cases, repeats))
    figures = [
        Figure(
            f"{case}: stalled readers a GiB holds, of the guide's",
            table.ratio(case, GUIDE, A_GIB),
            LEAST_TIMES,
            "times",
            f"one takes {table.median(case, EACH):.3f} MiB, of the guide's "
            f"{table.median(GUIDE, EACH):.2f}",
            at_least=True,
        )
        for case in (DENSITY, DENSITY_TCP)
    ]
    more = {"readers": {name: readers for name, (_, _, readers) in places.items()}}
    publish_table("stalled", table, figures, about, first=GUIDE, ratios=(A_GIB,), more=more)
    counts = {"": {case: table.median(case, A_GIB) for case in table.rows}}
    picture("stalled", bars("Clients that stopped reading", "readers a GiB holds", counts))


if __name__ == "__main__":
    main(__doc__, measure)
