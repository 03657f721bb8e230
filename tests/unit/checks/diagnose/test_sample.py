"""HAProxy's and Telemt's numbers from a captured answer of the collector."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

import pytest

from stackctl.checks.diagnose.sample import haproxy_readings, replica_readings
from tests.unit.observe.cases import snapshot_of

CAPTURED = Path(__file__).parents[3] / "captured/response.json"


@pytest.fixture
def response() -> dict[str, Any]:
    found: dict[str, Any] = json.loads(CAPTURED.read_text())
    return copy.deepcopy(found)


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


def test_a_replica_counts_what_it_refused(response: dict[str, Any]) -> None:
    series = 'telemt_connections_bad_by_class_total{class="tls_handshake_bad_client"}'
    response["targets"]["telemt-1"]["value"]["telemt"]["refused"] = {"value": {series: 3.0}}
    unread: list[str] = []
    found = replica_readings(snapshot_of(response), "telemt-1", unread)
    assert found == {series: 3}
    assert unread == []


def test_metrics_that_do_not_answer_are_named(response: dict[str, Any]) -> None:
    response["targets"]["telemt-1"]["value"]["telemt"]["refused"] = {
        "error": "ETIMEDOUT: timed out"
    }
    unread: list[str] = []
    assert replica_readings(snapshot_of(response), "telemt-1", unread) == {}
    assert unread == ["telemt-1: metrics: ETIMEDOUT: timed out"]


def test_metrics_that_were_not_read_are_no_quiet_replica(response: dict[str, Any]) -> None:
    unread: list[str] = []
    replica_readings(snapshot_of(response), "telemt-1", unread)
    assert unread == ["telemt-1: metrics: not read by the collector"]


def test_a_replica_that_does_not_run_is_named(response: dict[str, Any]) -> None:
    unread: list[str] = []
    assert replica_readings(snapshot_of(response), "telemt-9", unread) == {}
    assert "telemt-9" in unread[0]
