"""The probe's answer as a whole."""

from __future__ import annotations

from typing import Any, get_type_hints

import pytest

from stackctl.collector.answer import Unread
from stackctl.errors import EngineError
from stackctl.observe import response as shape
from stackctl.observe.snapshot import Snapshot
from stackctl.observe.snapshot import ahead as seconds_ahead


@pytest.mark.parametrize(
    "answer", [{}, {"version": 2}, {"version": 1, "error": "request version 9"}]
)
def test_another_version_is_an_error(answer: dict[str, Any]) -> None:
    with pytest.raises(EngineError):
        Snapshot.of(answer)


def test_the_captured_answer_has_the_documented_shape(response: dict[str, Any]) -> None:
    def keys(kind: type) -> set[str]:
        return set(get_type_hints(kind))

    assert set(response) <= keys(shape.Response)
    assert set(response["facts"]) == keys(shape.Facts)
    assert set(response["facts"]["engine"]["starter"]) == keys(shape.Daemon)
    for target in response["targets"].values():
        assert set(target) <= keys(shape.Target)
        assert set(target["process"]) == keys(shape.Process)
        for row in (*target["listeners"]["tcp"], *target["listeners"]["unix"]):
            assert set(row) - {"uid"} <= keys(shape.Listener)
    for client in response["clients"]:
        assert set(client) <= keys(shape.Connection)


def test_target(response: dict[str, Any]) -> None:
    response["targets"]["telemt-2"] = {"error": "process 7 does not exist"}
    snapshot = Snapshot.of(response)
    assert snapshot.target("telemt-1")["role"] == "telemt"
    with pytest.raises(Unread, match="telemt-2: process 7 does not exist"):
        snapshot.target("telemt-2")
    with pytest.raises(Unread, match="telemt-3"):
        snapshot.target("telemt-3")
    with pytest.raises(Unread):
        snapshot.asked("telemt-3")


def test_readings() -> None:
    assert text_of({"text": ""}, "x") == ""
    assert value_of({"value": 0}, "x") == 0
    for reading in (None, {}, {"error": "EPERM: no"}):
        with pytest.raises(Unread, match="x: "):
            text_of(reading, "x")


@pytest.mark.parametrize(("began", "ahead"), [(150.0, 0.0), (90.0, -10.0), (400.0, 200.0)])
def test_how_far_the_engines_clock_is_ahead(began: float, ahead: float) -> None:
    assert seconds_ahead(Snapshot({}, {}, {}, began=began), 100.0, 200.0) == ahead
