"""`python -m benchmarks.held ADDRESS PORT CONNECTIONS SECONDS`: how many are held, over time.

The generator of `stackctl load` towards anything on this machine's loopback, where there is no
stack.yaml: as many of CONNECTIONS as can be opened in SECONDS. Tells its progress as `stackctl
load` does, and prints one JSON object.
"""

from __future__ import annotations

import json
import sys
from dataclasses import replace
from ipaddress import IPv4Address

from stackctl.traffic.machine import read_machine
from stackctl.traffic.model import Load, Target
from stackctl.traffic.plan import plan_load
from stackctl.traffic.run import Progress, run_load

TIMEOUT = 60.0
"""Seconds one connection may take."""
TOLD_EVERY = 2.0


class Told:
    """A line of progress every two seconds."""

    def __init__(self) -> None:
        self._next = 0.0

    def __call__(self, now: Progress) -> None:
        """Report if it is time."""
        if now.seconds >= self._next:
            self._next = now.seconds + TOLD_EVERY
            doing = "opening" if now.opening else "holding"
            line = f"{now.seconds:5.1f} s  {doing}: {now.held} held, {now.failed} failed"
            print(line, file=sys.stderr, flush=True)


def main(address: str, port: int, connections: int, seconds: float) -> None:
    """Open, print, close."""
    if not IPv4Address(address).is_loopback:
        sys.exit(f"error: {address} is not on this machine's loopback")
    load = Load(connections, hold=0, handshake="none", timeout=TIMEOUT)
    plan = replace(plan_load(load, Target(address, port), read_machine()), open_seconds=seconds)
    outcome = run_load(plan, (), Told(), lambda: None)
    tally = outcome.tally
    found = {
        "opened": tally.opened,
        "failed": tally.failed,
        "held": tally.held_highest,
        "curve": [list(point) for point in outcome.curve],
        "problems": list(outcome.problems),
    }
    print(json.dumps(found))


if __name__ == "__main__":
    if len(sys.argv) != 5:
        sys.exit(f"usage: {(__doc__ or '').splitlines()[0]}")
    main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), float(sys.argv[4]))
