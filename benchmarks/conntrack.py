"""How many clients one conntrack table admits: unix links beside TCP links to the replicas."""

from __future__ import annotations

import argparse
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from math import ceil
from pathlib import Path

from docker.types import Ulimit

from benchmarks.ahead import ahead
from benchmarks.lab import signals_as_interrupts, signals_ignored
from benchmarks.measure import LEAST_REPEATS, BenchmarkError, Figure, interleave, machine
from benchmarks.narrow import TABLE_FILL, TABLE_SIZE, flush
from benchmarks.processes import family
from benchmarks.table import Quantities, Table, picture, publish_table
from benchmarks.topologies import HAPROXY_IMAGE, SOURCES, Parts, Running, own_host, parts
from benchmarks.traffic import Traffic, build_traffic
from stackctl.report.chart import bars
from tests.doubles.compiler import CompileError
from tests.doubles.sink import build

CONNECTIONS = 150_000
ENTRIES = 262_144
"""Of the table; as many for each connection in a run of fewer."""

FILLED = 0.8
"""Of a process's descriptors: SO_REUSEPORT deals connections out by hash, and not evenly."""

STEP_SECONDS = 8.0
"""One opening of all clients' processes. When it brings none that is new, the table is full."""

CALM_SECONDS = 60.0
"""The most that a round may leave entries behind once the table has been flushed."""

UNIX, TCP = "unix links", "TCP links"
PORTS = {UNIX: 443, TCP: 444}
FIRST_SINK = 9000
"""Below the port range of `own_host`, so that no client's port is in the way."""
HELD = "held at once"


@dataclass(frozen=True, slots=True)
class Place:
    """The namespace it all happens in, and what is asked of it.

    Attributes:
        namespace: a process in it.
        program: the compiled traffic.c.
        connections: wanted at once.
        nofile: descriptors a process can have here.
    """

    namespace: int
    program: Path
    connections: int
    nofile: int

    def entries(self) -> int:
        """Of the namespace in the table."""
        argv = ["nsenter", "-t", str(self.namespace), "-n", "cat", str(TABLE_FILL)]
        return int(subprocess.run(argv, capture_output=True, text=True, check=True).stdout)


def table_of(connections: int) -> int:
    """Entries of the table for so many connections: 262,144 for 150,000."""
    return connections * ENTRIES // CONNECTIONS


def processes_for(connections: int, descriptors: int, nofile: int) -> int:
    """Processes that hold them, each connection having so many descriptors in one of them."""
    return ceil(connections * descriptors / (nofile * FILLED))


def shares(connections: int, processes: int) -> tuple[int, ...]:
    """Connections of each process; they differ by one at most."""
    each, more = divmod(connections, processes)
    return tuple(each + (number < more) for number in range(processes))


@contextmanager
def table_size(entries: int) -> Iterator[None]:
    """Set the host's nf_conntrack_max, which holds for every namespace, for a while."""
    before = TABLE_SIZE.read_text()
    with signals_as_interrupts():
        try:
            if int(before) != entries:
                TABLE_SIZE.write_text(f"{entries}\n")
            yield
        finally:
            with signals_ignored():
                TABLE_SIZE.write_text(before)


def configuration(number: int, folder: Path, nofile: int) -> str:
    """haproxy.cfg of one of the processes behind both ports: each has a sink for either link."""
    return f"""global
    maxconn {nofile // 2 - 100}
    nbthread 1
defaults
    mode tcp
    timeout connect 20s
    timeout client 1h
    timeout server 1h
listen unix
    bind 127.0.0.1:{PORTS[UNIX]} backlog 65535
    server sink unix@{folder}/{number}.sock
listen tcp
    bind 127.0.0.1:{PORTS[TCP]} backlog 65535
    server sink 127.0.0.1:{FIRST_SINK + number}
"""


@contextmanager
def _sink(made: Parts, namespace: int, listen: str) -> Iterator[None]:
    argv = ["nsenter", "-t", str(namespace), "-n", str(made.sink), "--listen", listen]
    with subprocess.Popen(argv, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            if not process.stdout.readline():
                raise BenchmarkError(f"the sink at {listen} did not start")
            yield
        finally:
            process.kill()


@contextmanager
def _haproxy(made: Parts, host: str, folder: Path, number: int) -> Iterator[tuple[int, ...]]:
    """One HAProxy in the namespace of the container `host`; yields its process ids."""
    file = folder / f"{number}.cfg"
    file.write_text(configuration(number, folder, made.nofile))
    container = made.engine.client.containers.run(
        HAPROXY_IMAGE,
        ["-db", "-f", str(file)],
        entrypoint=["haproxy"],
        # The sockets and the folder are this process's own user's.
        user="0",
        network_mode=f"container:{host}",
        volumes={str(folder): {"bind": str(folder), "mode": "rw"}},
        ulimits=[Ulimit(name="nofile", soft=made.nofile, hard=made.nofile)],
        detach=True,
    )
    try:
        container.reload()
        if container.status != "running":
            raise BenchmarkError(f"HAProxy did not start: {container.logs()[-800:]!r}")
        yield family(int(container.attrs["State"]["Pid"]))
    finally:
        with signals_ignored():
            container.remove(force=True)


def once(place: Place, link: str) -> Quantities:
    """Open until all are in or none comes any more; count; reset them."""
    idle = _calm(place)
    count = processes_for(place.connections, 1, place.nofile)
    running = Running("127.0.0.1", PORTS[link], namespace=place.namespace, sources=SOURCES)
    with ExitStack() as open_:
        clients = [open_.enter_context(running.clients(place.program)) for _ in range(count)]
        began = time.monotonic()
        _fill(clients, shares(place.connections, count))
        held, entries = _held(clients), place.entries()
        return {
            HELD: held,
            "entries": entries,
            "entries each": (entries - idle) / max(1, held),
            "seconds": time.monotonic() - began,
        }


def _fill(clients: Sequence[Traffic], wanted: Sequence[int]) -> None:
    """Steps of STEP_SECONDS until every process holds its share, or a step brought nothing."""
    before = -1
    while before < (now := _held(clients)) < sum(wanted):
        before = now
        missing = [
            (one, share - one.held().held) for one, share in zip(clients, wanted, strict=True)
        ]
        at_work = [one for one, more in missing if more]
        for one, more in missing:
            if more:
                one.begin_open(more, seconds=STEP_SECONDS)
        for one in at_work:
            one.opened(STEP_SECONDS)


def _held(clients: Sequence[Traffic]) -> int:
    return sum(one.held().held for one in clients)


def _calm(place: Place) -> int:
    """Flush the last round's entries from the table; returns how many are still there.

    The kernel looks for entries that have timed out every minute or two.

    Raises:
        BenchmarkError: the entries stay.
    """
    flush(place.namespace)
    end = time.monotonic() + CALM_SECONDS
    while (left := place.entries()) > place.connections // 200:
        if time.monotonic() > end:
            raise BenchmarkError(f"{left} entries were still there after {CALM_SECONDS:.0f} s")
        time.sleep(1)
    return left


def measure(repeats: int, connections: int = CONNECTIONS) -> None:
    """Start all of it, fill the table in turns, publish.

    Results are written for the whole number of connections and enough rounds alone.
    """
    entries = table_of(connections)
    with tempfile.TemporaryDirectory(prefix="stackctl-bench-") as name, ExitStack() as running:
        folder = Path(name)
        sink, program = build(folder), build_traffic(folder)
        hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
        made = running.enter_context(parts(sink, min(hard, 1 << 20)))
        about = machine(made.engine.version)
        running.enter_context(table_size(entries))
        host, namespace = running.enter_context(own_host(made))
        adopt = running.enter_context(ahead())
        for number in range(processes_for(connections, 2, made.nofile)):
            for listen in (f"unix:{folder}/{number}.sock", f"127.0.0.1:{FIRST_SINK + number}"):
                running.enter_context(_sink(made, namespace, listen))
            adopt(running.enter_context(_haproxy(made, host, folder, number)))
        place = Place(namespace, program, connections, made.nofile)
        cases = {link: partial(once, place, link) for link in PORTS}
        table = Table.of(interleave(cases, repeats))
        # Before the removal: so many sockets take their time.
        _tell(table, entries, connections, about)


def _tell(table: Table, entries: int, connections: int, about: dict[str, object]) -> None:
    unix = table.rows[UNIX][HELD]
    figure = Figure(
        f"{UNIX}: clients under a table of {entries:,}, in the worst round",
        unix.min,
        connections,
        "clients",
        f"{table.rows[UNIX]['entries'].max:,.0f} entries were in the table at most; the load was "
        f"{about['load']} on {about['cpus']} cpus",
        at_least=True,
    )
    if connections != CONNECTIONS or table.repeats < LEAST_REPEATS:
        for link, row in table.rows.items():
            print(link, {quantity: spread.median for quantity, spread in row.items()})
        print(f"{figure.sentence()}\nnot written: {CONNECTIONS} in {LEAST_REPEATS} rounds are")
        return
    more = {"connections": connections, "table": entries}
    publish_table("conntrack", table, [figure], about, first=UNIX, ratios=(HELD,), more=more)
    title = f"Clients held under a conntrack table of {entries:,}"
    counts = {HELD: {link: table.median(link, HELD) for link in table.rows}}
    picture("conntrack", bars(title, "clients, median of the rounds", counts))


def _main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeats", type=int, default=LEAST_REPEATS, help="rounds (default 5)")
    parser.add_argument(
        "--connections", type=int, default=CONNECTIONS, help="fewer, for a smaller table"
    )
    asked = parser.parse_args()
    if asked.repeats < 1 or asked.connections < 1:
        parser.error("--repeats and --connections: 1 or more")
    try:
        measure(asked.repeats, asked.connections)
    except (BenchmarkError, CompileError) as error:
        sys.exit(f"error: {error}")
    except KeyboardInterrupt:
        sys.exit(130)


if __name__ == "__main__":
    _main()
