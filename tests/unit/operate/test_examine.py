"""The edge of doctor: evidence where engine or collector fails."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from stackctl.collector.answer import Reading
from stackctl.errors import EngineError
from stackctl.observe.snapshot import Snapshot
from stackctl.operate import examine as edge
from stackctl.plan import HostFacts
from stackctl.spec import Stack

STACK = Stack.model_validate({"name": "lab", "connections": 8000, "replicas": 2})
LOW = HostFacts({"nofile": 4096}, {}, {"net.core.somaxconn": "4096"})


def never(*_args: object, **_more: object) -> None:
    raise AssertionError("this is not to be asked")


def engine(monkeypatch: pytest.MonkeyPatch, **more: Any) -> None:
    """An engine that answers, a compose that does, and whatever else is given."""
    there = SimpleNamespace(about={"Version": "20.10"}, info=lambda: {"PidsLimit": True})
    monkeypatch.setattr(edge.Engine, "connect", lambda: there)
    monkeypatch.setattr(edge, "compose_version", lambda: ("2.40.3", ()))
    for name, value in more.items():
        monkeypatch.setattr(edge, name, value)


def failing(message: str) -> Any:
    def fail(*_args: object, **_more: object) -> Any:
        raise EngineError(message, "do this")

    return fail


def test_without_an_engine_the_machine_is_read(
    monkeypatch: pytest.MonkeyPatch, snapshot: Snapshot
) -> None:
    engine(monkeypatch, ensure_collector=never, look=never)
    monkeypatch.setattr(edge.Engine, "connect", failing("no engine"))
    monkeypatch.setattr(edge, "local_host", lambda: snapshot.host)
    seen = edge.examine(STACK, print)
    assert seen.engine == seen.no_facts
    assert seen.engine is not None
    assert (seen.engine.says, seen.engine.remedy) == ("no engine", "do this")
    assert seen.facts is snapshot.host
    assert (seen.compose, seen.host, seen.ahead) == ("2.40.3", None, None)
    assert seen.plan is not None


@pytest.mark.parametrize("step", ["ensure_collector", "look", "facts_of"])
def test_a_probe_that_cannot_run_leaves_the_engine_standing(
    step: str, monkeypatch: pytest.MonkeyPatch, snapshot: Snapshot
) -> None:
    steps = {
        "ensure_collector": lambda *_: None,
        "look": lambda *_, **__: snapshot,
        "facts_of": never,
    }
    engine(monkeypatch, **(steps | {step: failing("it broke")}))
    seen = edge.examine(STACK, lambda _line: None)
    assert seen.no_facts is not None
    assert seen.no_facts.says == "it broke"
    assert (seen.engine, seen.facts, seen.host) == (None, None, None)
    assert seen.info == {"PidsLimit": True}


def test_a_probe_that_reads_nothing_of_the_host(monkeypatch: pytest.MonkeyPatch) -> None:
    look = failing("the collector could not read the host: ETIMEDOUT: x")
    engine(monkeypatch, ensure_collector=lambda *_: None, look=look)
    seen = edge.examine(STACK, lambda _line: None)
    assert seen.no_facts is not None
    assert "ETIMEDOUT" in seen.no_facts.says


def test_the_last_words_of_a_build_are_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    words = "it could not be built:\n  \x1b[91mW:\x1b[0m no\n  way" + "y" * 1000
    engine(monkeypatch, ensure_collector=failing(words))
    seen = edge.examine(STACK, lambda _line: None)
    assert seen.no_facts is not None
    assert seen.no_facts.says.startswith("it could not be built: W: no wayyy")
    assert len(seen.no_facts.says) == edge.LONGEST + len(" ...")


def test_compose_that_is_not_there(monkeypatch: pytest.MonkeyPatch) -> None:
    engine(monkeypatch, ensure_collector=failing("x"))
    monkeypatch.setattr(edge, "compose_version", failing("no compose"))
    seen = edge.examine(STACK, lambda _line: None)
    assert seen.no_compose is not None
    assert seen.no_compose.says == "no compose"


def test_what_would_be_refused_is_said_and_planned_all_the_same() -> None:
    refusals, plan = edge.plan_of(STACK, LOW)
    assert [r.says.partition(":")[0] for r in refusals] == ["connections"]
    assert plan is not None
    assert edge.plan_of(STACK, None)[0] == ()


def test_a_topology_without_a_plan() -> None:
    stack = STACK.model_copy(update={"connections": 10_000_000, "link": "tcp"})
    refusals, plan = edge.plan_of(stack, None)
    assert plan is None
    assert "link" in refusals[0].says


@pytest.mark.parametrize(("theirs", "same"), [("abc\n", True), ("def\n", False), ("", None)])
def test_which_machine(
    theirs: str,
    same: bool | None,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    snapshot: Snapshot,
) -> None:
    mine = tmp_path / "boot_id"
    mine.write_text("abc\n")
    monkeypatch.setattr(edge, "BOOT_ID", mine)
    assert edge.same_machine(replace(snapshot.host, boot_id=Reading(theirs))) is same


def test_a_machine_without_a_boot_id_is_not_the_engines(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, snapshot: Snapshot
) -> None:
    monkeypatch.setattr(edge, "BOOT_ID", tmp_path / "none")
    assert edge.same_machine(replace(snapshot.host, boot_id=Reading("abc\n"))) is False
