"""Readings of a machine, what is made of them, and both reports."""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from pathlib import Path

import pytest
from rich.console import Console

from stackctl.limits import Role
from stackctl.load.model import Load, LoadPlan, Share, Tally, Target
from stackctl.load.readings import Moment, Space, read_machine, read_moment
from stackctl.load.result import (
    LoadResult,
    all_movements,
    gauges,
    haproxy_counters,
    memory_uses,
)
from stackctl.load.run import Outcome
from stackctl.report.jsontext import to_json
from stackctl.report.load import load_document, load_report

SPACES = (Space("host", Role.HOST, "self"), Space("haproxy", Role.HAPROXY, "40", "c" * 64))


@pytest.fixture
def proc(tmp_path: Path, captured: Callable[[str], str]) -> Path:
    """A /proc with one container of two processes."""
    for process in ("self", "40"):
        net = tmp_path / process / "net"
        (net / "stat").mkdir(parents=True)
        (net / "netstat").write_text(captured("netstat.txt"))
        (net / "sockstat").write_text(captured("sockstat.txt"))
        (net / "stat" / "nf_conntrack").write_text(captured("conntrack.txt"))
    for pid, id_ in (("40", "c" * 64), ("41", "c" * 64), ("42", "d" * 64)):
        (tmp_path / pid).mkdir(exist_ok=True)
        (tmp_path / pid / "cgroup").write_text(f"0::/docker/{id_}\n")
        (tmp_path / pid / "status").write_text("RssAnon:\t    100 kB\n")
    (tmp_path / "43").mkdir()  # it has ended meanwhile
    (tmp_path / "sys/fs").mkdir(parents=True)
    (tmp_path / "sys/fs/file-nr").write_text("500\t0\t2000\n")
    (tmp_path / "sys/net/ipv4").mkdir(parents=True)
    (tmp_path / "sys/net/ipv4/ip_local_port_range").write_text("32768\t60999\n")
    (tmp_path / "meminfo").write_text("MemTotal: 1000 kB\nMemAvailable: 400 kB\n")
    return tmp_path


def test_a_moment(proc: Path) -> None:
    moment = read_moment(SPACES, {"haproxy": "c" * 64}, proc)
    assert moment.memory == {"haproxy": 200 * 1024, "machine": 600 * 1024}
    assert moment.counters["host"]["file-nr.used"] == 500
    assert "file-nr.used" not in moment.counters["haproxy"]
    assert moment.counters["haproxy"]["sockstat.TCP.inuse"] > 0
    assert not moment.unread


def test_what_cannot_be_read_is_named(proc: Path) -> None:
    (proc / "40/net/netstat").unlink()
    (proc / "self/net/sockstat").write_text("nonsense")
    moment = read_moment(SPACES, {}, proc)
    assert moment.unread == (
        "host: net/sockstat: no TCP in sockstat",
        "haproxy: net/netstat: No such file or directory",
    )
    assert "netstat.ListenDrops" not in moment.counters["haproxy"]


def test_the_machine(proc: Path) -> None:
    machine = read_machine(proc)
    assert (machine.port_range, machine.files_free) == ((32768, 60999), 1500)
    assert machine.memory_available == 400 * 1024
    assert machine.cpus >= 1
    assert machine.nofile >= 1


def test_haproxys_rows_are_summed() -> None:
    rows = {"telemt-1": {"econ": "2", "wretr": ""}, "telemt-2": {"econ": "3", "wretr": "1"}}
    assert haproxy_counters(rows) == {"haproxy.econ": 5, "haproxy.wretr": 1}


def moment(overflows: int, inuse: int, memory: int) -> Moment:
    counters = {"netstat.ListenOverflows": overflows, "sockstat.TCP.inuse": inuse}
    return Moment({"host": {}, "haproxy": counters}, {"haproxy": memory}, ())


def result(**counts: object) -> LoadResult:
    load = Load(10, hold=5, bytes=40)
    tally = Tally(**{"opened": 10, "held": 10, "own_bytes": 300, **counts})  # type: ignore[arg-type]
    tally.connect.record(1500)
    before, held, after = moment(1, 2, 1000), moment(3, 12, 6000), moment(4, 2, 6000)
    plan = LoadPlan(load, Target("10.1.1.1", 8443), (Share(0, 10),), (), 20.0)
    return LoadResult(
        stack="lab",
        telemt="double",
        plan=plan,
        outcome=Outcome(tally, (), ((0.2, 10),)),
        movements=all_movements(SPACES, "unix", before, after),
        gauges=tuple(gauges(SPACES, before, held, after)),
        memory=tuple(memory_uses(before, held, tally.own_bytes, 10)),
        unread=("telemt-1: net/netstat: gone",),
    )


@pytest.mark.parametrize(
    ("counts", "status"),
    [
        ({}, 0),
        ({"opened": 9, "held": 9, "failed": {"reset": 1}}, 1),
        ({"held": 9, "lost": {"closed": 1}}, 1),
        ({"trips_failed": {"answer-timeout": 1}}, 1),
    ],
)
def test_the_exit_status(counts: dict[str, object], status: int) -> None:
    assert int(result(**counts).exit_status) == status
    assert load_document(result(**counts))["exit"] == status


def test_a_counter_that_moved_is_attributed() -> None:
    (moved,) = result().movements
    assert (moved.where, moved.name, moved.by) == ("haproxy", "netstat.ListenOverflows", 3)
    assert moved.limits == ("haproxy.backlog", "net.core.somaxconn")


def test_memory_and_gauges() -> None:
    uses = {use.where: use.each for use in result().memory}
    assert uses == {"haproxy": 500, "load": 30}
    (gauge,) = result().gauges
    assert (gauge.name, gauge.before, gauge.held, gauge.after) == ("sockstat.TCP.inuse", 2, 12, 2)
    assert memory_uses(moment(0, 0, 0), moment(0, 0, 0), 0, 0) == []


def test_the_document_survives_json() -> None:
    document = json.loads(to_json(load_document(result(failed={"no-port": 2}))))
    assert document["failed"]["no-port"]["limits"] == ["net.ipv4.ip_local_port_range"]
    assert document["connect_ms"]["max"] == 1.5
    assert document["round_trip_ms"] is None
    assert document["unread"] == ["telemt-1: net/netstat: gone"]


def test_the_report_says_what_was_lost_and_which_limit_it_points_at() -> None:
    console = Console(file=io.StringIO(), width=160, highlight=False)
    load_report(console, result(held=7, lost={"closed": 3}, failed={"no-port": 2}))
    assert isinstance(console.file, io.StringIO)
    text = console.file.getvalue()
    assert "held         7 of 10 after 5 s" in text
    assert "lost while held: 3 closed" in text
    assert "2 no-port: no source port was left; see net.ipv4.ip_local_port_range" in text
    assert "haproxy.backlog, net.core.somaxconn" in text
    assert "not read: telemt-1" in text
    assert "not all were opened and held" in text
