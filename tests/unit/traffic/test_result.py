"""What is made of a load's readings, and both reports."""

from __future__ import annotations

import io
import json

import pytest
from rich.console import Console

from stackctl.limits import Role
from stackctl.report.jsontext import to_json
from stackctl.report.load import load_document, load_report
from stackctl.traffic.model import Load, LoadPlan, Share, Tally, Target
from stackctl.traffic.moment import Moment, Space
from stackctl.traffic.result import LoadResult, all_movements, gauges, memory_uses
from stackctl.traffic.run import Outcome

SPACES = (Space("host", Role.HOST, "self"), Space("haproxy", Role.HAPROXY, "40", "c" * 64))


def moment(overflows: int, inuse: int, memory: int) -> Moment:
    counters = {"netstat.ListenOverflows": overflows, "sockstat.TCP.inuse": inuse}
    return Moment({"host": {}, "haproxy": counters}, {"haproxy": memory}, ())


def result(**counts: object) -> LoadResult:
    load = Load(10, hold=5, bytes=40)
    tally = Tally(**{"opened": 10, "held": 10, "own_bytes": 300, **counts})  # type: ignore[arg-type]
    tally.connect.record([1500])
    before, held, after = moment(1, 2, 1000), moment(3, 12, 6000), moment(4, 2, 6000)
    plan = LoadPlan(load, Target("10.1.1.1", 8443), (Share(0, 10),), (), 20.0)
    return LoadResult(
        stack="lab",
        telemt="double",
        plan=plan,
        outcome=Outcome(tally, (), ((0.2, 10),)),
        movements=all_movements({s.where: s.role for s in SPACES}, "unix", before, after),
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
