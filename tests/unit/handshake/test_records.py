"""Whether the client's own address arrived, and which handshakes are asked for."""

from __future__ import annotations

import json
from typing import Any

import pytest

from stackctl.collector.answer import Unread
from stackctl.handshake.stack_records import StackHandshake, handshakes
from tests.unit.observe.cases import snapshot_of

SECRET = "0123456789abcdef0123456789abcdef"


def first(response: dict[str, Any], place: str, logs: dict[str, tuple[str, ...]]) -> StackHandshake:
    return next(one for one in handshakes(snapshot_of(response, logs)) if one.place == place)


def of(response: dict[str, Any], place: str) -> dict[str, Any]:
    found: dict[str, Any] = next(
        record for record in response["handshakes"]["value"]["records"] if record["place"] == place
    )
    return found


def own(response: dict[str, Any]) -> str:
    """The address that the collector's PROXY header names at telemt-1."""
    client: str = of(response, "telemt-1")["tried"]["client"]
    return client.rpartition(":")[0]


def test_the_replica_has_the_user_connected_from_our_address(response: dict[str, Any]) -> None:
    seen = first(response, "telemt-1", {})
    assert seen.arrived is True
    assert seen.arrival == f"telemt-1 has user1 connected from {own(response)}"


def test_its_log_is_believed_first(response: dict[str, Any]) -> None:
    record = of(response, "telemt-1")
    record["arrived"] = {"error": "ValueError: status 404"}
    line = {"event": "client", "client": record["tried"]["client"], "via": "proxy_v2"}
    seen = first(response, "telemt-1", {"telemt-1": (json.dumps(line),)})
    assert (seen.arrived, seen.cause) == (True, None)
    assert "log names" in seen.arrival
    line["via"] = "direct"
    assert first(response, "telemt-1", {"telemt-1": (json.dumps(line),)}).arrived is None


def test_from_another_address(response: dict[str, Any]) -> None:
    of(response, "telemt-1")["arrived"] = {"value": {"named": False, "instead": ["127.0.0.1"]}}
    seen = first(response, "telemt-1", {})
    assert seen.arrived is False
    assert seen.word == "address"
    assert f"connected from 127.0.0.1, not {own(response)}" in seen.arrival


def test_the_page_of_failed_handshakes_stands_in_for_the_api(response: dict[str, Any]) -> None:
    record = of(response, "published")
    record["arrived"] = {"error": "ECONNREFUSED: refused"}
    telemt = response["targets"][record["server"]]["value"]["telemt"]
    telemt["failed"] = {"error": "ECONNREFUSED: refused"}
    assert first(response, "published", {}).word == "address-unknown"
    ip = record["seen_as"].rpartition(":")[0]
    page = f"[expected_64_got_0]\n{ip}-1"
    telemt["failed"] = {"value": {"before": "", "after": page}, "path": "x"}
    seen = first(response, "published", {})
    assert (seen.arrived, seen.cause) == (True, None)
    assert f"counted {ip}" in seen.arrival


def test_an_address_that_is_rewritten_before_haproxy(response: dict[str, Any]) -> None:
    record = of(response, "published")
    del record["seen_as"], record["server"]
    seen = first(response, "published", {})
    assert (seen.arrived, seen.word) == (False, "address")
    assert "rewrites the address" in seen.arrival


def test_arrival_is_no_matter_where_it_was_not_asked_for(response: dict[str, Any]) -> None:
    response["request"]["handshakes"]["arrivals"] = False
    of(response, "telemt-1")["arrived"] = {"value": {"named": False}}
    seen = first(response, "telemt-1", {})
    assert (seen.arrived, seen.arrival, seen.cause) == (None, "", None)


def test_no_handshake_says_why(response: dict[str, Any]) -> None:
    with pytest.raises(Unread, match="secrets: there is no file"):
        handshakes(snapshot_of(response, not_asked="secrets: there is no file"))
    response["handshakes"] = {"error": "not done within 15 s"}
    with pytest.raises(Unread, match="not done within 15 s"):
        handshakes(snapshot_of(response))
