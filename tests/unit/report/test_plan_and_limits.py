"""The limits table explained, and a plan for people and machines."""

from __future__ import annotations

import io
import json

import pytest
from rich.console import Console

from stackctl.errors import SpecError
from stackctl.limits import TABLE
from stackctl.plan import Plan, Sources, make_plan
from stackctl.report.jsontext import to_json
from stackctl.report.limits import explain, limits_document, limits_report, row
from stackctl.report.plan import connections_held, plan_document, plan_report, size_rows
from stackctl.spec import Stack


def wide() -> Console:
    return Console(file=io.StringIO(), width=600, color_system=None, force_terminal=False)


def text_of(console: Console) -> str:
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def planned(telemt: str = "official", **keys: object) -> Plan:
    stack = {"name": "lab", "connections": 8000, "replicas": 2, **keys}
    return make_plan(Stack.model_validate(stack), None, Sources(telemt, "build"))


def test_every_row_is_listed() -> None:
    console = wide()
    limits_report(console)
    assert all(key in text_of(console) for key in TABLE)


def test_every_row_is_explained_whole() -> None:
    for limit in TABLE.values():
        console = wide()
        explain(console, limit)
        text = text_of(console)
        for part in (limit.key, limit.why, limit.guide or "silent", limit.departs, limit.remedy):
            assert part in text
        for setting in limit.settings:
            assert setting.place.value in text
        for read in limit.reads:
            assert f"{read.reader.value} {read.arg} ({read.depth.value})" in text


def test_a_mistyped_row_names_the_nearest() -> None:
    with pytest.raises(SpecError) as raised:
        row("net.core.somaxcon")
    assert "net.core.somaxconn" in raised.value.remedy
    with pytest.raises(SpecError) as raised:
        row("!!!")
    assert "stackctl limits" in raised.value.remedy


def test_limits_as_json_are_all_rows_or_one() -> None:
    every = limits_document()["limits"]
    assert [entry["key"] for entry in every] == list(TABLE)
    assert json.loads(to_json(every)) == every
    (one,) = limits_document("engine.tasks")["limits"]
    assert one["wanted"] == "infinity"


def test_a_plan_shows_sizes_every_row_and_every_warning() -> None:
    console, plan = wide(), planned("double")
    plan_report(console, plan)
    text = text_of(console)
    for limit in {requirement.limit for requirement in plan.requirements}:
        assert limit in text
    for label, value in size_rows(plan):
        assert label in text
        assert value in text
    for warning in plan.warnings:
        assert f"warning: {warning}" in text
    assert "DOUBLE" in text
    assert "holds: 8000 connections; first limit: haproxy.frontend_maxconn of haproxy" in text


def test_a_plan_shows_the_next_ceilings_and_both_numbers_of_a_hashed_one() -> None:
    console, plan = wide(), planned("double")
    plan_report(console, plan)
    lines = text_of(console).splitlines()
    hashed = [c for c in plan.ceilings if c.least < c.holds]
    assert hashed
    for c in plan.ceilings[:5]:
        assert any(connections_held(c) in line and c.cause in line for line in lines)
    assert connections_held(hashed[0]) == f"{hashed[0].least} to {hashed[0].holds}"


def test_a_chosen_value_is_marked() -> None:
    console = wide()
    plan_report(console, planned(limits={"mode": "fit", "net.ipv4.tcp_fin_timeout": 20}))
    (line,) = [
        text
        for text in text_of(console).splitlines()
        if text.lstrip().startswith("net.ipv4.tcp_fin")
    ]
    assert "20 (stack.yaml)" in line


def test_what_bounded_buffers_save_and_cost_is_said() -> None:
    bounded = dict(size_rows(planned(link="tcp", buffers="density")))
    assert "HAProxy 184, the link 64, its replica 72" in bounded["a client that stops reading"]
    speed = bounded["speed of one connection"]
    assert "1.31 MB/s at 50 ms; 0.33 MB/s at 200 ms" in speed
    free = dict(size_rows(planned(link="tcp")))
    assert "buffers: throughput" in free["a client that stops reading"]
    assert "no bound below" in free["speed of one connection"]


@pytest.mark.parametrize(
    ("link", "words"), [("unix", "none needed"), ("tcp", "55536 for each link")]
)
def test_source_ports_are_said_for_the_link(link: str, words: str) -> None:
    assert words in dict(size_rows(planned(link=link)))["source ports"]


def test_a_plan_as_json_is_whole_and_survives() -> None:
    plan = planned()
    made = json.loads(to_json(plan_document(plan)))
    assert len(made["requirements"]) == len(plan.requirements)
    assert made["sizes"]["frontend_maxconn"] == 8000
    tasks = [r for r in made["requirements"] if r["limit"] == "engine.tasks"]
    assert [r["wanted"] for r in tasks] == ["infinity"]
    assert {"limit", "target", "wanted", "written", "fitted", "left"} <= set(tasks[0])
    assert made["warnings"] == list(plan.warnings)
    assert [(c["limit"], c["where"], c["holds"]) for c in made["ceilings"]] == [
        (c.limit, c.where, c.holds) for c in plan.ceilings
    ]
