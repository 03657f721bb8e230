"""How long the replicas' logs are waited for."""

from __future__ import annotations

import json
from types import SimpleNamespace
from typing import Any

import pytest

from stackctl.engine.collector import parse_answer
from stackctl.observe import look

Logs = dict[str, tuple[str, ...]]


class Clock:
    """Time that passes only while somebody sleeps."""

    now = 0.0

    def monotonic(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(look, "time", clock)
    return clock


def fetch(response: dict[str, Any], *answers: Logs) -> Logs:
    """The last answer stays."""
    left = list(answers)
    engine: Any = SimpleNamespace(logs=lambda *_: left.pop(0) if len(left) > 1 else left[0])
    return look._logs(engine, (), parse_answer(json.dumps(response).encode()))


def test_until_they_name_the_clients(response: dict[str, Any], logs: Logs, clock: Clock) -> None:
    (own, *_) = [c["seen_as"] for c in response["clients"]["value"] if c["server"] == "telemt-2"]
    late = {**logs, "telemt-2": tuple(line for line in logs["telemt-2"] if own not in line)}
    assert late["telemt-2"]
    assert late != logs
    assert fetch(response, late, late, logs) == logs
    assert clock.now == pytest.approx(0.3)


def test_replicas_that_log_no_client_but_count_it(response: dict[str, Any], clock: Clock) -> None:
    fetch(response, {"telemt-1": ("INFO ready",)})
    assert clock.now == pytest.approx(0.1)


@pytest.mark.parametrize(
    "reading", [{}, {"error": "x"}, {"value": {"before": "empty", "after": "empty"}}]
)
def test_two_seconds_at_most(
    response: dict[str, Any], clock: Clock, reading: dict[str, Any]
) -> None:
    response["targets"]["telemt-2"]["value"]["telemt"]["failed"] = reading
    fetch(response, {})
    assert 2 < clock.now < 2.2
