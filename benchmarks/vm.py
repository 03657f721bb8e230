"""`python -m benchmarks.vm`: 100,000 and 250,000 connections, held in a whole machine.

A Debian 13 machine in software emulation, where every limit can be granted, runs what
production.yaml renders. The replicas are sinks, so the figures leave out what Telemt takes for a
connection. Then the guide's literal topology runs in the same machine: one server over TCP, with
the same sink behind the same HAProxy.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from benchmarks.ahead import ahead
from benchmarks.measure import RESULTS, Figure, described, machine, write
from stackctl import __version__
from stackctl.errors import StackError
from stackctl.report.chart import curves
from tests.doubles.compiler import CompileError
from tests.doubles.sink import build
from tests.vm.deployment import production_images
from tests.vm.image import ImageError, Suite, image
from tests.vm.loading import (
    COMMAND,
    NOT_A_SINKS,
    Held,
    bytes_each,
    hold_and_verify,
    running,
    start_sinks,
)
from tests.vm.machine import Machine, MachineError
from tests.vm.ssh import CommandError

CONNECTIONS = [100_000, 250_000]
"""The last one is the guide's number, and the one that results/vm.json is about."""
HOLDS = (240, 720)
"""Seconds. The figure is 60; verification has to end before the load does. It has HAProxy list all
connections some four times, 21 s each for 250,000 in emulation."""
FOR_VERIFICATION = 200
"""More clients that the stack is planned for: verification is a client, too, and HAProxy refuses
clients above the plan's number."""
GUIDE_SECONDS = 200.0
MEMORY_MIB = 8192
KIB_EACH = 24
POINTS = 400

HERE = Path(__file__).parent
GUIDE = "/opt/stackctl/guide"
OURS, GUIDES = "production.yaml, 8 replicas on unix links", "the guide's single server over TCP"


def main() -> None:
    """Boot, hold, verify, compare, write; ends with 1 where it could not."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--connections", type=int, nargs="+", default=CONNECTIONS)
    connections = sorted(parser.parse_args().connections)
    about = machine()
    began = time.monotonic()
    try:
        with ahead(), tempfile.TemporaryDirectory(prefix="stackctl-bench-") as scratch:
            found = measure(Path(scratch), connections)
    except KeyboardInterrupt:
        sys.exit("interrupted: nothing was written")
    except (
        AssertionError,
        CommandError,
        CompileError,
        ImageError,
        MachineError,
        StackError,
    ) as error:
        sys.exit(f"error: {error}")
    publish(found, about, round(time.monotonic() - began))


def measure(scratch: Path, connections: Sequence[int]) -> dict[str, Any]:
    """Hold each of these numbers through our stack, then open the last through the guide's.

    Args:
        scratch: an empty folder.
        connections: numbers to hold, the largest last.
    """
    most = connections[-1]
    references = production_images(scratch / "images")
    with Machine(image(Suite.TRIXIE, references), scratch, MEMORY_MIB) as booted:
        tell("the machine is up")
        stack = start_sinks(booted, scratch, most + FOR_VERIFICATION, HERE, told=tell)
        held = [figures_of(hold_and_verify(stack, number, HOLDS, tell)) for number in connections]
        stack.down()
        guide = through_the_guides(booted, build(scratch), most)
        kernel = booted.run("uname -r").stdout.split("-")[0]
    emulated = {"suite": str(Suite.TRIXIE), "kernel": kernel, "memory_mib": MEMORY_MIB, "cpus": 2}
    return {"emulated": emulated, "ours": held[-1], "fewer": held[:-1], "guide": guide}


def figures_of(held: Held) -> dict[str, Any]:
    """What results/vm.json has of a load that was held and verified meanwhile."""
    said, verified = held.load, held.verified
    not_ok = [f for f in verified["findings"] if f["verdict"] != "ok"]
    return {
        "connections": said["asked"]["connections"],
        "opened": said["opened"],
        "failed": sum(c["count"] for c in said["failed"].values()),
        "lost": sum(c["count"] for c in said["lost"].values()),
        "late": said["late"],
        "held_s": held.hold,
        "held": said["held"],
        "opening_s": said["opening_s"],
        "connect_ms": said["connect_ms"],
        "verified_ok": verified["summary"]["ok"],
        "not_ok": sorted({f["limit"] for f in not_ok}),
        "because": sorted({f"{f['limit']}: {f['verdict']}: {f['evidence']}" for f in not_ok}),
        "verifying_s": round(held.verifying),
        "bytes_each": bytes_each(said),
        "memory": said["memory"],
        "gauges": said["gauges"],
        "counters": said["counters"],
        "sources": said["sources"],
        "processes": said["processes"],
        "curve": thinned(said["curve"]),
    }


def through_the_guides(booted: Machine, sink: Path, connections: int) -> dict[str, Any]:
    """As many as the guide's literal topology takes in GUIDE_SECONDS; clients on its own host."""
    booted.put(HERE / "topologies/guide", GUIDE)
    booted.put(sink, f"{GUIDE}/sink")
    environment = (
        f"HAPROXY_IMAGE=stackctl/haproxy:{__version__} SINK={GUIDE}/sink NOFILE=1048576 "
        "PORT_RANGE='10000 65535'"
    )
    compose = f"cd {GUIDE} && {environment} docker compose -p guide"
    booted.run(f"{compose} up --detach")
    tell("the guide's topology is up")
    ask = f"{compose} ps --quiet haproxy | xargs docker inspect --format '{{{{.State.Pid}}}}'"
    pid = booted.run(ask).stdout.strip()
    words = f"127.0.0.1 443 {connections} {GUIDE_SECONDS:g}"
    command = f"{COMMAND} -m benchmarks.held {words}".replace(
        "exec ", f"exec nsenter --net=/proc/{pid}/ns/net "
    )
    with running(booted, command, tell) as load:
        said = load.result(GUIDE_SECONDS + 120)
    booted.run(f"{compose} down --volumes --timeout 1")
    return {**said, "curve": thinned(said["curve"])}


def thinned(curve: Sequence[Sequence[float]]) -> list[list[float]]:
    """A curve of POINTS points at most, its last one among them."""
    step = -(-len(curve) // POINTS)
    return [[round(second, 1), held] for second, held in [*curve[::step], curve[-1]]]


def figures(ours: Mapping[str, Any]) -> list[Figure]:
    """The promised figures for one number of connections, with the measured values."""
    number = ours["connections"]
    short = set(ours["not_ok"]) - NOT_A_SINKS
    return [
        Figure(
            f"of {number} connections not held after {ours['held_s']:g} s",
            number - ours["held"],
            0,
            "connections",
            f"{ours['failed']} failed, {ours['lost']} lost; `counters` says what moved",
        ),
        Figure(
            f"limits not in force while {number} were held",
            len(short),
            0,
            "limits",
            "; ".join(sorted(short)) + ": `because` says why",
        ),
        Figure(
            f"memory of the machine for each of {number}, sinks and generator apart",
            ours["bytes_each"] / 1024,
            KIB_EACH,
            "KiB",
            "`memory` says where it went",
        ),
    ]


def publish(found: Mapping[str, Any], about: Mapping[str, Any], took: int) -> None:
    """Print what came of it, and write it as results/vm.json and vm.svg."""
    reached = [figure for held in (*found["fewer"], found["ours"]) for figure in figures(held)]
    for figure in reached:
        print(f"  {figure.sentence()}")
    guide = found["guide"]
    print(f"  the guide's topology: {guide['held']} held after {GUIDE_SECONDS:.0f} s")
    document = {
        "benchmark": "vm",
        "machine": dict(about),
        "took_s": took,
        "figures": [described(figure) for figure in reached],
        **found,
    }
    write("vm", document)
    series = {
        OURS: [(x, y) for x, y in found["ours"]["curve"]],
        GUIDES: [(x, y) for x, y in guide["curve"]],
    }
    title = f"{found['ours']['connections']:,} connections in an emulated machine"
    picture = curves(title, "seconds", "connections held", series, dashed=[GUIDES])
    (RESULTS / "vm.svg").write_text(picture)


def tell(line: str) -> None:
    """A line of progress."""
    print(line, file=sys.stderr, flush=True)


if __name__ == "__main__":
    main()
