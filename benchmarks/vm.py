"""`python -m benchmarks.vm`: the guide's number of connections, held in a whole machine.

A Debian 13 machine in software emulation, where every limit can be granted, and what
production.yaml renders. The replicas are sinks: what Telemt takes for a connection is not in it.
Then the guide's literal topology, in the same machine: one server over TCP, with the same sink
behind the same HAProxy.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from benchmarks.ahead import ahead
from benchmarks.measure import RESULTS, BenchmarkError, Figure, machine
from stackctl import __version__
from stackctl.errors import StackError
from stackctl.report.chart import curves
from tests.doubles.sink import build
from tests.vm.deployment import Deployment, deploy_sinks
from tests.vm.image import ImageError, Suite, image
from tests.vm.loading import (
    COMMAND,
    NOT_A_SINKS,
    bytes_each,
    calm,
    loading,
    put_stackctl,
    running,
)
from tests.vm.machine import Machine, MachineError
from tests.vm.ssh import CommandError

CONNECTIONS = 250_000
HOLD_SECONDS = 240
"""The figure is 60; verification has to be over before they end. It has HAProxy list them all some
four times, 21 s each in emulation."""
FOR_WHO_VERIFIES = 200
"""Clients that the stack is planned for beside these: at its number exactly HAProxy takes no more,
and verification is a client, too."""
GUIDE_SECONDS = 200.0
MEMORY_MIB = 8192
OPEN_SECONDS = 1800
KIB_EACH = 24
POINTS = 400

HERE = Path(__file__).parent
GUIDE = "/opt/stackctl/guide"
OURS, GUIDES = "production.yaml, 8 replicas on unix links", "the guide's single server over TCP"


def main() -> None:
    """Boot, hold, verify, compare, write; ends with 1 where it could not."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--connections", type=int, default=CONNECTIONS)
    connections = int(parser.parse_args().connections)
    about = machine()
    began = time.monotonic()
    try:
        with ahead(), tempfile.TemporaryDirectory(prefix="stackctl-bench-") as scratch:
            found = measure(Path(scratch), connections)
    except KeyboardInterrupt:
        sys.exit("interrupted: nothing was written")
    except (
        AssertionError,
        BenchmarkError,
        CommandError,
        ImageError,
        MachineError,
        StackError,
    ) as error:
        sys.exit(f"error: {error}")
    publish(found, about, round(time.monotonic() - began))


def measure(scratch: Path, connections: int) -> dict[str, Any]:
    """Hold that many through our stack, then open as many through the guide's.

    Args:
        scratch: an empty folder.
        connections: to hold.
    """
    sink = build(scratch)
    with Machine(image(Suite.TRIXIE), scratch, MEMORY_MIB) as booted:
        tell("the machine is up")
        put_stackctl(booted, scratch, HERE)
        planned = connections + FOR_WHO_VERIFIES
        stack = deploy_sinks(booted, scratch / "sinks", sink, planned)
        tell("its host is being prepared")
        said = stack.prepare("apply")
        if said.status:
            raise BenchmarkError(f"prepare.sh apply: {sorted(said.short)} short")
        # The login has the limits of before, and so have daemons' processes.
        booted.disconnect()
        stack.up()
        calm(booted)
        tell("the stack is up")
        ours = hold(stack, connections)
        stack.down()
        guide = through_the_guides(booted, sink, connections)
        kernel = booted.run("uname -r").stdout.split("-")[0]
    emulated = {"suite": str(Suite.TRIXIE), "kernel": kernel, "memory_mib": MEMORY_MIB, "cpus": 2}
    return {"emulated": emulated, "ours": ours, "guide": guide}


def hold(stack: Deployment, connections: int) -> dict[str, Any]:
    """Open, hold, and verify meanwhile; what `load --json` and `verify --json` said of it."""
    with loading(stack, connections, HOLD_SECONDS, tell) as load:
        held = load.until_held(OPEN_SECONDS)
        tell(f"{held} are held; verifying")
        began = time.monotonic()
        verified = stack.verify("--strict")
        verifying = time.monotonic() - began
        tell(f"verified in {verifying:.0f} s")
        meanwhile = load.held
        said = load.result(HOLD_SECONDS + 120)
    if not meanwhile:
        raise BenchmarkError("the load had ended before verification had")
    not_ok = [f for f in verified["findings"] if f["verdict"] != "ok"]
    return {
        "connections": connections,
        "opened": said["opened"],
        "failed": sum(c["count"] for c in said["failed"].values()),
        "lost": sum(c["count"] for c in said["lost"].values()),
        "late": said["late"],
        "held_s": HOLD_SECONDS,
        "held": said["held"],
        "held_after_verification": meanwhile,
        "opening_s": said["opening_s"],
        "connect_ms": said["connect_ms"],
        "verified_ok": verified["summary"]["ok"],
        "not_ok": sorted({f["limit"] for f in not_ok}),
        "because": sorted({f"{f['limit']}: {f['verdict']}: {f['evidence']}" for f in not_ok}),
        "verifying_s": round(verifying),
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
    booted.run(f"{compose} up --detach", timeout=200)
    tell("the guide's topology is up")
    ask = f"{compose} ps --quiet haproxy | xargs docker inspect --format '{{{{.State.Pid}}}}'"
    pid = booted.run(ask).stdout.strip()
    words = f"127.0.0.1 443 {connections} {GUIDE_SECONDS:g}"
    command = f"{COMMAND} -m benchmarks.held {words}".replace(
        "exec ", f"exec nsenter --net=/proc/{pid}/ns/net "
    )
    with running(booted, command, tell) as load:
        said = load.result(GUIDE_SECONDS + 120)
    booted.run(f"{compose} down --volumes --timeout 1", timeout=200)
    return {**said, "curve": thinned(said["curve"])}


def thinned(curve: Sequence[Sequence[float]]) -> list[list[float]]:
    """A curve of POINTS points at most, its last one among them."""
    step = -(-len(curve) // POINTS)
    return [[round(second, 1), held] for second, held in [*curve[::step], curve[-1]]]


def figures(ours: Mapping[str, Any]) -> list[Figure]:
    """What was promised, and what came of it."""
    missing = ours["connections"] - min(ours["held"], ours["held_after_verification"])
    short = set(ours["not_ok"]) - NOT_A_SINKS
    return [
        Figure(
            f"of {ours['connections']} connections not held after {HOLD_SECONDS} s",
            missing,
            0,
            "connections",
            f"{ours['failed']} failed, {ours['lost']} lost; `counters` says what moved",
        ),
        Figure(
            "limits not in force while they were held",
            len(short),
            0,
            "limits",
            "; ".join(sorted(short)) + ": `because` says why",
        ),
        Figure(
            "memory of the machine for each, sinks and generator apart",
            ours["bytes_each"] / 1024,
            KIB_EACH,
            "KiB",
            "`memory` says where it went",
        ),
    ]


def publish(found: Mapping[str, Any], about: Mapping[str, Any], took: int) -> None:
    """Print what came of it, and write it as results/vm.json and vm.svg."""
    reached = figures(found["ours"])
    for figure in reached:
        print(f"  {figure.sentence()}")
    guide = found["guide"]
    print(f"  the guide's topology: {guide['held']} held after {GUIDE_SECONDS:.0f} s")
    document = {
        "benchmark": "vm",
        "machine": dict(about),
        "took_s": took,
        "figures": [
            {
                **{key: value for key, value in asdict(figure).items() if key != "reason"},
                "value": round(figure.value, 3),
                "reached": figure.reached,
                **({} if figure.reached else {"reason": figure.reason}),
            }
            for figure in reached
        ],
        **found,
    }
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / "vm.json").write_text(json.dumps(document, indent=1) + "\n")
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
