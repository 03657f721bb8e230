"""The generator with its processes, against servers that misbehave."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from stackctl.mtproto.model import Secret
from stackctl.traffic.model import Load, Machine, Target
from stackctl.traffic.plan import plan_load
from stackctl.traffic.run import Outcome, Progress, run_load

from . import server as behaviours
from .server import Behaviour, EchoOnce, serving

PATIENCE = 30.0
"""Seconds for what a server does at once, however busy the machine is."""
SOON = 0.6
"""Seconds for what never comes."""
MACHINE = Machine(1, 4096, (32768, 60999), 1 << 20, 1 << 34)


def run(
    address: tuple[str, int],
    connections: int = 60,
    each: Callable[[Progress], None] = lambda _: None,
    when_held: Callable[[], None] = lambda: None,
    machine: Machine = MACHINE,
    **wishes: object,
) -> Outcome:
    asked = {"hold": 0.2, "timeout": PATIENCE, "handshake": "none", **wishes}
    load = Load(connections, **asked)  # type: ignore[arg-type]
    return run_load(plan_load(load, Target(*address), machine), (), each, when_held)


def test_all_are_opened_held_and_closed() -> None:
    held: list[int] = []
    with serving(behaviours.echo) as server:
        outcome = run(server.address, 300, when_held=lambda: held.append(server.open))
        _until(lambda: server.open == 0)
    tally = outcome.tally
    assert (tally.opened, tally.held, tally.failed, tally.lost) == (300, 300, {}, {})
    assert held == [300]
    assert tally.connect.count == 300
    assert 0 < tally.connect.percentile(0.5) <= tally.connect.highest < 5_000_000
    assert not outcome.problems
    assert max(number for _, number in outcome.curve) == 300


def test_a_burst_and_several_processes_and_sources() -> None:
    machine = Machine(1, 64 + 100, (40000, 40222), 1 << 20, 1 << 34)
    with serving(behaviours.echo) as server:
        outcome = run(server.address, 200, machine=machine, burst=True)
        assert server.peers == {"127.0.1.1", "127.0.1.2"}
    assert (outcome.tally.opened, outcome.tally.held) == (200, 200)


def test_a_rate_is_kept() -> None:
    with serving(behaviours.echo) as server:
        outcome = run(server.address, 60, rate=60.0)
    assert outcome.tally.opened == 60
    # The last of 60 begins 59/60 s after the first; how much later is the machine's matter.
    assert outcome.tally.opening > 0.9


def test_round_trips() -> None:
    with serving(behaviours.echo) as server:
        outcome = run(server.address, 50, bytes=300, hold=1.0)
    tally = outcome.tally
    assert tally.held == 50
    # Two each, in a second; a busy machine has no time for all of them.
    assert 0 < tally.trips.count <= 100
    assert not tally.trips_failed


def test_round_trips_without_answer_fail_and_the_connection_is_kept() -> None:
    with serving(EchoOnce()) as server:
        outcome = run(server.address, 20, bytes=300, hold=0.5, timeout=2)
    tally = outcome.tally
    assert (tally.opened, tally.held, tally.lost, tally.trips.count) == (20, 20, {}, 0)
    # One each: a connection whose answer is awaited begins no other.
    assert tally.trips_failed == {"answer-timeout": 20}


@pytest.mark.parametrize(
    ("behave", "cause"),
    [
        (behaviours.stall, "answer-timeout"),
        (behaviours.reset, "reset"),
        (behaviours.half_close, "closed"),
    ],
)
def test_connections_that_never_open(behave: Behaviour, cause: str) -> None:
    timeout = SOON if cause == "answer-timeout" else PATIENCE
    with serving(behave) as server:
        tally = run(server.address, timeout=timeout).tally
    assert (tally.opened, tally.held, tally.lost) == (0, 0, {})
    assert tally.failed == {cause: 60}


def test_nobody_listens() -> None:
    with socket.create_server(("127.0.0.1", 0)) as gone:
        address = gone.getsockname()
    tally = run(address).tally
    assert (tally.opened, tally.failed) == (0, {"refused": 60})


def test_a_queue_that_is_full() -> None:
    with socket.create_server(("127.0.0.1", 0), backlog=1) as deaf:
        tally = run(deaf.getsockname(), 10, timeout=SOON).tally
    # The kernel itself answers the first two; none has heard from a server.
    assert tally.opened == 0
    assert set(tally.failed) == {"answer-timeout", "connect-timeout"}
    assert sum(tally.failed.values()) == 10


def test_connections_that_the_kernel_makes_later() -> None:
    """Their first bytes cannot be sent at once: connect() is under way until the queue has room."""

    def answer_all(listener: socket.socket, kept: list[socket.socket]) -> None:
        # All ten are under way by then: the queue has its two, the kernel drops the others.
        _until(lambda: len(_sockets_at(listener.getsockname()[1])) == 10)
        for _ in range(10):
            sock, _ = listener.accept()
            kept.append(sock)
            sock.sendall(sock.recv(4096))

    kept: list[socket.socket] = []
    with socket.create_server(("127.0.0.1", 0), backlog=1) as listener:
        answering = threading.Thread(target=answer_all, args=(listener, kept), daemon=True)
        answering.start()
        tally = run(listener.getsockname(), 10).tally
        answering.join()
    for sock in kept:
        sock.close()
    assert (tally.opened, tally.held, tally.failed) == (10, 10, {})
    assert tally.late > 0


def test_a_client_that_says_something_of_its_own_is_heard() -> None:
    """It waits for connect(); a server that resets at the first bytes tells that they came."""
    with serving(behaviours.reset) as server:
        load = Load(20, hold=0.2, timeout=PATIENCE, handshake="secure")
        plan = plan_load(load, Target(*server.address), MACHINE)
        secret = Secret("secure", bytes(range(16)))
        tally = run_load(plan, (secret,), lambda _: None, lambda: None).tally
    assert (tally.opened, tally.failed) == (0, {"reset": 20})


def test_answers_that_are_late() -> None:
    with serving(behaviours.answer_late) as server:
        tally = run(server.address, 40).tally
    assert (tally.opened, tally.late, tally.held) == (40, 40, 40)
    assert tally.connect.percentile(0.5) > 1_000_000


@pytest.mark.parametrize(
    ("behave", "cause"),
    [
        (behaviours.close_held, "closed"),
        (behaviours.reset_held, "reset"),
        (behaviours.answer_and_half_close, "closed"),
    ],
)
def test_connections_lost_while_held(behave: Behaviour, cause: str) -> None:
    with serving(behave) as server:
        tally = run(server.address, hold=3.0).tally
    assert (tally.opened, tally.failed, tally.held) == (60, {}, 0)
    assert tally.lost == {cause: 60}


def test_the_deadline_of_an_opening_is_absolute() -> None:
    """Ten under way at once, and 0.6 s for each, would take three times as long."""
    with serving(behaviours.stall) as server:
        tally = run(server.address, in_flight=10, timeout=SOON).tally
    assert tally.opened == 0
    # Those never begun: six rounds of ten do not fit into the time of 60 at the slowest pace.
    assert tally.failed["deadline"] > 0
    assert sum(tally.failed.values()) == 60


def test_a_process_that_is_killed_is_reported() -> None:
    with serving(behaviours.echo) as server:
        killed: list[int] = []

        def kill(progress: Progress) -> None:
            if not progress.opening and not killed:
                killed.extend(_children())
                os.kill(killed[0], signal.SIGKILL)

        machine = Machine(1, 64 + 50, (32768, 60999), 1 << 20, 1 << 34)
        outcome = run(server.address, 100, each=kill, machine=machine, hold=3.0)
        _until(lambda: server.open == 0)
    assert len(killed) == 2
    assert outcome.tally.lost == {"process-ended": 50}
    assert (outcome.tally.opened, outcome.tally.held) == (100, 50)
    assert [f"process {killed[0]} " in problem for problem in outcome.problems] == [True]
    assert "signal 9" in outcome.problems[0]


PROGRAM = """
import signal, sys
from stackctl.traffic.model import Load, Machine, Target
from stackctl.traffic.plan import plan_load
from stackctl.traffic.run import run_load
# Whoever runs the tests may ignore it, and what they start inherits that.
signal.signal(signal.SIGINT, signal.default_int_handler)
load = Load(100, hold=60, handshake="none")
machine = Machine(2, 114, (32768, 60999), 10**6, 10**10)
plan = plan_load(load, Target("127.0.0.1", int(sys.argv[1])), machine)
run_load(plan, (), lambda now: None, lambda: print("held", flush=True))
"""


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL])
def test_an_interruption_leaves_no_process_and_no_socket(number: signal.Signals) -> None:
    """SIGTERM is the command's to take, as Ctrl-C; SIGKILL nobody can, and the end is the same."""
    with serving(behaviours.echo) as server:
        port = server.address[1]
        with subprocess.Popen(
            [sys.executable, "-c", PROGRAM, str(port)],
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
        ) as process:
            assert process.stdout is not None
            assert process.stdout.readline() == b"held\n"
            assert server.open == 100
            workers = _children(process.pid)
            assert len(workers) == 2
            process.send_signal(number)
            process.wait(PATIENCE)
        _until(lambda: not any(Path(f"/proc/{pid}").exists() for pid in workers))
        _until(lambda: server.open == 0)
        assert not _sockets_of(port)


def _sockets_at(port: int) -> list[str]:
    """Lines of /proc/net/tcp of clients, connected or on the way, to this port."""
    end = f":{port:04X}"
    rows = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
    return [row[3] for row in rows if row[2].endswith(end)]


def _sockets_of(port: int) -> list[str]:
    """Lines of /proc/net/tcp with this port at an end, the listener's left out."""
    end = f":{port:04X}"
    rows = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
    return [row[3] for row in rows if end in row[1] + row[2] and row[3] != "0A"]


def _children(parent: int | None = None) -> list[int]:
    parent = parent or os.getpid()
    found = []
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit():
            try:
                fields = (folder / "stat").read_text().rpartition(")")[2].split()
            except OSError:
                continue
            if int(fields[1]) == parent and fields[0] != "Z":
                found.append(int(folder.name))
    return sorted(found)


def _until(true: Callable[[], bool], seconds: float = PATIENCE) -> None:
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end
        time.sleep(0.02)
