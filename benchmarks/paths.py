"""What the paths carry: connections, messages and bytes a second, of the design and of others."""

from __future__ import annotations

import resource
import tempfile
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import Any

import yaml

from benchmarks.ahead import ahead
from benchmarks.measure import Figure, compile_stackctl, interleave, machine, main
from benchmarks.processes import cpu_seconds, userland_proxies
from benchmarks.table import Quantities, Table, picture, publish_table
from benchmarks.topologies import Running, bare, guide, naive, parts, rendered
from benchmarks.traffic import build_traffic
from stackctl.operate.check import free_port
from stackctl.report.chart import bars
from tests.doubles.sink import build

SECONDS = 0.7
CONNECTIONS = 64
SIZE = 64
READERS = 16

NAIVE = "naive compose file"
USERLAND = "naive, through the userland proxy"
GUIDE = "guide's literal configuration"
DESIGN = "production, as rendered"
TCP = "production with TCP links"
BARE = "no proxy"

CONNECTS, MESSAGES, BYTES = "connections/s", "messages/s", "MB/s"
CLIENTS_SHARE, HAPROXY_SHARE = "clients, cpus", "HAProxy, cpus"
WANTED = {CONNECTS: 1.9, MESSAGES: 1.5, BYTES: 1.6}
ROOT = Path(__file__).parents[1]


def production() -> dict[str, Any]:
    """stack/production.yaml, but for what this machine cannot grant and where images come from."""
    document: dict[str, Any] = yaml.safe_load((ROOT / "stack" / "production.yaml").read_text())
    del document["name"], document["listen"], document["secrets"]
    # One sink in every topology, so that the paths differ and not what is at their ends.
    return {**document, "connections": 8000, "replicas": 1, "limits": {"mode": "fit"}}


def once(running: Running, program: Path) -> Quantities:
    """One round: three kinds of load, each on connections of its own."""
    found: dict[str, float] = {}
    own = 0.0
    spent = cpu_seconds(running.haproxy)
    with running.clients(program) as clients:
        churned = clients.churn(SECONDS, CONNECTIONS)
        found[CONNECTS] = churned.opened / churned.seconds
        found["failed"] = churned.failed
        own += churned.cpu
    with running.clients(program) as clients:
        clients.open(CONNECTIONS)
        carried = clients.messages(SECONDS, SIZE)
        found[MESSAGES] = carried.trips / carried.seconds
        own += carried.cpu
    with running.clients(program) as clients:
        clients.open(READERS, bulk=True)
        carried = clients.read(SECONDS)
        found[BYTES] = carried.bytes / carried.seconds / 1e6
        own += carried.cpu
    found[CLIENTS_SHARE] = own / SECONDS / 3
    found[HAPROXY_SHARE] = (cpu_seconds(running.haproxy) - spent) / SECONDS / 3
    return found


def measure(repeats: int) -> None:
    """Start all of them, measure in turns, publish."""
    compile_stackctl()
    with tempfile.TemporaryDirectory(prefix="stackctl-bench-") as folder, ExitStack() as running:
        sink, program = build(Path(folder)), build_traffic(Path(folder))
        hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
        made = running.enter_context(parts(sink, min(hard, 1 << 20)))
        port = free_port()
        plain = running.enter_context(naive(made, program, port))
        places = {
            NAIVE: plain,
            USERLAND: Running("127.0.0.1", port, plain.haproxy, plain.replicas),
            GUIDE: running.enter_context(guide(made, program)),
            TCP: running.enter_context(rendered(made, {**production(), "link": "tcp"})),
            DESIGN: running.enter_context(rendered(made, production())),
            BARE: running.enter_context(bare(sink, free_port())),
        }
        about = machine(made.engine.version)
        adopt = running.enter_context(ahead())
        for place in places.values():
            adopt((*place.haproxy, *place.replicas))
        adopt(userland_proxies(port))
        cases = {name: partial(once, place, program) for name, place in places.items()}
        table = Table.of(interleave(cases, repeats))
    figures = [
        Figure(
            f"production, as rendered: {quantity} of the naive compose file's",
            table.ratio(DESIGN, NAIVE, quantity),
            limit,
            "times",
            f"the clients had {table.median(DESIGN, CLIENTS_SHARE):.2f} of a cpu, HAProxy "
            f"{table.median(DESIGN, HAPROXY_SHARE):.2f}, of {about['cpus']}",
            at_least=True,
        )
        for quantity, limit in WANTED.items()
    ]
    publish_table("paths", table, figures, about, first=NAIVE, ratios=tuple(WANTED))
    ratios = {
        quantity: {case: table.ratio(case, NAIVE, quantity) for case in table.rows}
        for quantity in WANTED
    }
    picture("paths", bars("What a path carries", "times the naive compose file's", ratios))


if __name__ == "__main__":
    main(__doc__, measure)
