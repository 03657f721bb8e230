"""One process of a load: `python -m stackctl.traffic.worker`. It reads stdin and reports on stdout.

It ends with its stdin: then its parent has ended, and its connections close with it.
"""

from __future__ import annotations

import gc
import json
import os
import resource
import signal
import sys
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

from stackctl.traffic.connections import Connections
from stackctl.traffic.model import Load
from stackctl.traffic.order import GO, HOLD, Order, dump_tally, load_order
from stackctl.traffic.pace import Pace
from stackctl.traffic.plan import OWN_DESCRIPTORS
from stackctl.traffic.slots import Slots
from stackctl.traffic.talk import Plain, Talk

REPORT_EVERY = 0.2
"""Seconds between two lines of progress."""


class Stopped(Exception):
    """The parent has ended or sent another word."""


class Words:
    """Lines from stdin, read without a buffer, which would hide them from epoll."""

    def __init__(self) -> None:
        self._held = b""
        self.heard: list[bytes] = []

    def read(self) -> None:
        """Read what has come; block until something comes.

        Raises:
            Stopped: stdin has ended.
        """
        data = os.read(0, 65536)
        if not data:
            raise Stopped
        *lines, self._held = (self._held + data).split(b"\n")
        self.heard += lines

    def wait(self) -> bytes:
        """The next line."""
        while not self.heard:
            self.read()
        return self.heard.pop(0)

    def expect(self, word: bytes) -> None:
        """Wait for a certain line.

        Raises:
            Stopped: another line came, or stdin has ended.
        """
        if self.wait() != word:
            raise Stopped


def tell(kind: str, **fields: Any) -> None:
    """Write one line; BrokenPipeError where the reader has ended."""
    line = json.dumps({"kind": kind, **fields}, separators=(",", ":"))
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


def own_memory() -> int:
    """Anonymous memory of this process now, in bytes; exact, unlike /proc/self/status."""
    rollup = Path("/proc/self/smaps_rollup").read_text(encoding="ascii")
    for line in rollup.splitlines():
        if line.startswith("Anonymous:"):
            return int(line.split()[1]) * 1024
    raise OSError("no line Anonymous in /proc/self/smaps_rollup")


def talk_of(order: Order, slots: Slots) -> Talk:
    """The talk of this order's connections."""
    if order.load.handshake == "none":
        return Plain(order.domain, order.load.bytes)
    # Imported here, because cryptography takes longer to import than everything else.
    from stackctl.traffic.client import Mtproto

    return Mtproto(order.secrets, slots, order.seed, order.load.bytes)


class Baseline:
    """Memory before the connections, without the arrays; the connections' memory is the difference.

    With the first handshakes libraries load and fill tables, however many follow. So the baseline
    is taken again when a few are open, if many more follow and they do not come in a burst.
    """

    FEW, MANY = 64, 256

    def __init__(self, load: Load) -> None:
        self._bytes = own_memory()
        self._later = load.connections >= self.MANY and not load.burst
        self._total = self._of = load.connections

    def look(self, opened: int) -> None:
        """Take it again when a few are open for the first time."""
        if self._later and opened >= self.FEW:
            self._later = False
            self._bytes = own_memory()
            self._of -= opened

    def since(self) -> int:
        """Bytes that all connections took, if the first few took as much as the others."""
        grown = max(0, own_memory() - self._bytes)
        return round(grown * self._total / max(1, self._of))


class Reporter:
    """Reports the progress now and then."""

    def __init__(self, connections: Connections) -> None:
        self._connections = connections
        self._next = 0.0

    def __call__(self) -> None:
        """Report if it is time."""
        now = time.monotonic()
        if now >= self._next:
            self._next = now + REPORT_EVERY
            self.tell()

    def tell(self) -> None:
        """Report now."""
        tally = self._connections.tally
        tell(
            "progress",
            opened=tally.opened,
            held=tally.held,
            failed=sum(tally.failed.values()),
            lost=sum(tally.lost.values()),
        )


def work(words: Words) -> None:
    """Carry out one order."""
    order = load_order(words.wait())
    load = order.load
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    slots = Slots(load.connections + OWN_DESCRIPTORS, ciphers=load.handshake != "none")
    baseline = Baseline(load)
    talk = talk_of(order, slots)
    connections = Connections(
        (order.host, order.port), order.sources, order.first, load.connections, slots, talk
    )
    connections.watch(0, words.read)
    report = Reporter(connections)

    def each_turn() -> None:
        baseline.look(connections.tally.opened)
        report()

    tell("ready")
    words.expect(GO)
    pace = Pace(load.rate, load.burst, load.in_flight, load.timeout)
    connections.open(pace, time.monotonic() + order.open_seconds, each_turn)
    connections.tally.own_bytes = baseline.since() + slots.bytes_each * len(slots.state)
    report.tell()
    tell("opened")
    while not words.heard:
        # Other processes may still be opening.
        connections.turn(0.1)
        report()
    words.expect(HOLD)
    connections.hold(load.hold, load.bytes > 0, report)
    # The result comes before the close: the stack's counters are read with all connections held.
    tell("result", tally=dump_tally(connections.tally))
    words.wait()


def main() -> None:
    """Work until the end, or until stdin ends."""
    # Ctrl-C is for the parent, which says when to stop.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    # Nothing here makes cycles, and searching every array for them takes time.
    gc.disable()
    with suppress(Stopped, BrokenPipeError):
        work(Words())
    # The kernel closes open connections, each by a reset.
    os._exit(0)


if __name__ == "__main__":
    main()
