"""The page of failed handshakes, /beobachten."""

import pytest

from telemt_lab import metrics
from telemt_lab.metrics import BROKEN_OFF, OTHER, FailedHandshakes


@pytest.fixture
def now(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    clock = [1000.0]
    monkeypatch.setattr(metrics.time, "monotonic", lambda: clock[0])
    return clock


def test_classes_and_most_failures_first() -> None:
    page = FailedHandshakes(10)
    for kind, host in [(OTHER, "10.0.0.2"), (BROKEN_OFF, "192.0.2.9"), (BROKEN_OFF, "192.0.2.7")]:
        page.record(kind, host)
    page.record(BROKEN_OFF, "192.0.2.9")
    assert page.render() == ("[expected_64_got_0]\n192.0.2.9-2\n192.0.2.7-1\n[other]\n10.0.0.2-1\n")


def test_each_is_forgotten_after_its_own_last_failure(now: list[float]) -> None:
    page = FailedHandshakes(1)
    page.record(OTHER, "192.0.2.7")
    page.record(OTHER, "192.0.2.8")
    now[0] += 40
    page.record(OTHER, "192.0.2.7")
    now[0] += 40
    assert page.render() == "[other]\n192.0.2.7-2\n"
    now[0] += 40
    assert page.render() == "empty\n"


def test_no_more_addresses_than_there_is_room_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(metrics, "_MOST", 2)
    page = FailedHandshakes(10)
    for host in ("192.0.2.1", "192.0.2.2", "192.0.2.3", "192.0.2.1"):
        page.record(OTHER, host)
    assert page.render() == "[other]\n192.0.2.1-2\n192.0.2.2-1\n"


def test_off() -> None:
    page = FailedHandshakes(0)
    page.record(OTHER, "192.0.2.7")
    assert page.render() == "beobachten disabled\n"
