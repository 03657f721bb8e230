"""The collector's answer as a whole."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from stackctl.collector.answer import NOT_READ, Reading, Unread
from stackctl.engine.collector import parse_answer
from stackctl.errors import EngineError
from stackctl.observe.snapshot import Snapshot, ahead
from tests.unit import captured
from tests.unit.observe.cases import snapshot_of


@pytest.mark.parametrize(
    ("output", "says"),
    [
        ("", "is not JSON"),
        ("[]", "has version None"),
        ("{}", "has version None"),
        ('{"version": 1}', "has version 1, not 2"),
        ('{"version": 2, "error": "x"}', "cannot be parsed"),
        ('{"version": 2}', "cannot be parsed"),
    ],
)
def test_an_answer_of_another_shape_is_an_error(output: str, says: str) -> None:
    with pytest.raises(EngineError, match=says):
        parse_answer(output.encode())


def test_a_host_that_could_not_be_read_is_an_error(response: dict[str, Any]) -> None:
    response["host"] = {"error": "EPERM: Operation not permitted"}
    with pytest.raises(EngineError, match="could not read the host: EPERM"):
        snapshot_of(response)


def test_target(response: dict[str, Any]) -> None:
    response["targets"] |= captured.answer("replica-ended")["targets"]
    snapshot = snapshot_of(response)
    assert snapshot.target("telemt-1").telemt
    with pytest.raises(Unread, match=r"telemt-2: process .* does not exist"):
        snapshot.target("telemt-2")
    with pytest.raises(Unread, match="telemt-3 does not run"):
        snapshot.target("telemt-3")
    with pytest.raises(Unread, match="not asked about telemt-3"):
        snapshot.replica("telemt-3")


def test_readings() -> None:
    assert Reading("").get("x") == ""
    assert Reading(0).get("x") == 0
    for reading in (NOT_READ, Reading(), Reading(error="EPERM: no")):
        with pytest.raises(Unread, match="x: "):
            reading.get("x")


@pytest.mark.parametrize(("began", "seconds"), [(150.0, 0.0), (90.0, -10.0), (400.0, 200.0)])
def test_how_far_the_engines_clock_is_ahead(
    began: float, seconds: float, snapshot: Snapshot
) -> None:
    moved = replace(snapshot, answer=replace(snapshot.answer, began=began))
    assert ahead(moved, 100.0, 200.0) == seconds
