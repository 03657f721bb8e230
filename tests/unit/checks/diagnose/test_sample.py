"""HAProxy's and Telemt's numbers from a captured answer of the collector."""

from __future__ import annotations

from typing import Any

import pytest

from stackctl.checks.diagnose.sample import haproxy_readings, replica_readings
from tests.unit import captured
from tests.unit.observe.cases import snapshot_of


@pytest.fixture
def counted() -> dict[str, Any]:
    """The answer to what `diagnose` asks."""
    return captured.answer("counters")


def test_haproxy_says_what_is_in_use_of_what_may_be(response: dict[str, Any]) -> None:
    unread: list[str] = []
    found = haproxy_readings(snapshot_of(response), unread)
    assert unread == []
    assert found["haproxy"]["haproxy.Maxconn"] > found["haproxy"]["haproxy.CurrConns"] >= 0
    assert found["haproxy"]["haproxy.frontend.slim"] > 0
    assert "haproxy.backend.qcur" in found["haproxy"]
    assert "haproxy.econ" in found["haproxy"]
    assert found["telemt-1"]["haproxy.server.slim"] > 0


def test_an_haproxy_that_does_not_answer_is_named(response: dict[str, Any]) -> None:
    response["targets"]["haproxy"]["value"]["haproxy"]["info"] = {"error": "ECONNREFUSED: refused"}
    unread: list[str] = []
    assert haproxy_readings(snapshot_of(response), unread) == {}
    assert "ECONNREFUSED" in unread[0]


def test_a_replica_counts_what_it_refused(counted: dict[str, Any]) -> None:
    unread: list[str] = []
    found = replica_readings(snapshot_of(counted), "telemt-1", unread)
    refused = counted["targets"]["telemt-1"]["value"]["telemt"]["refused"]["value"]
    assert refused
    assert found == refused
    assert unread == []


def test_metrics_that_do_not_answer_are_named(counted: dict[str, Any]) -> None:
    counted["targets"]["telemt-1"]["value"]["telemt"]["refused"] = {"error": "ETIMEDOUT: timed out"}
    unread: list[str] = []
    assert replica_readings(snapshot_of(counted), "telemt-1", unread) == {}
    assert unread == ["telemt-1: metrics: ETIMEDOUT: timed out"]


def test_metrics_that_were_not_read_are_no_quiet_replica(response: dict[str, Any]) -> None:
    """`verify` does not ask for them."""
    unread: list[str] = []
    replica_readings(snapshot_of(response), "telemt-1", unread)
    assert unread == ["telemt-1: metrics: not read by the collector"]


def test_a_replica_that_does_not_run_is_named(response: dict[str, Any]) -> None:
    unread: list[str] = []
    assert replica_readings(snapshot_of(response), "telemt-9", unread) == {}
    assert "telemt-9" in unread[0]
