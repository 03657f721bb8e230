"""Every reader: what it sees when all is well, when a value is short, when it cannot be read."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from stackctl.checks.readers import READERS, observations
from stackctl.errors import EngineError
from stackctl.limits import TABLE, Reader, Role
from stackctl.observe.observed import Observed
from stackctl.observe.snapshot import Snapshot

from .cases import CASES, FIRST, HAPROXY, Case, put, snapshot_of

Logs = Mapping[str, tuple[str, ...]]


def test_every_reader_has_a_function() -> None:
    assert set(READERS) == set(Reader)


def observe(snapshot: Snapshot, target: str, key: str, nth: int) -> Observed:
    limit = TABLE[key]
    read = limit.reads[nth]
    return READERS[read.reader](snapshot, target, read, limit)


def ids(case: Case) -> str:
    return f"{case.key} #{case.nth}"


def test_every_reader_has_a_case() -> None:
    assert {TABLE[case.key].reads[case.nth].reader for case in CASES} == set(Reader)


@pytest.mark.parametrize("case", CASES, ids=ids)
def test_right(case: Case, snapshot: Snapshot) -> None:
    seen = observe(snapshot, case.target, case.key, case.nth)
    assert (seen.got, seen.error) == (case.right, "")
    assert case.evidence in seen.source


@pytest.mark.parametrize("case", CASES, ids=ids)
def test_short(case: Case, response: dict[str, Any], logs: Logs) -> None:
    case.change(response)
    seen = observe(snapshot_of(response, logs), case.target, case.key, case.nth)
    assert (seen.got, seen.error) == (case.short, "")


@pytest.mark.parametrize("case", CASES, ids=ids)
def test_unreadable_is_an_error_and_never_a_value(
    case: Case, response: dict[str, Any], logs: Logs
) -> None:
    case.unreadable(response)
    seen = observe(snapshot_of(response, logs), case.target, case.key, case.nth)
    assert seen.got is None
    assert seen.error


@pytest.mark.parametrize("case", [c for c in CASES if c.target != "host"], ids=ids)
def test_a_target_that_failed_is_an_error(case: Case, response: dict[str, Any], logs: Logs) -> None:
    for name in response["targets"]:
        response["targets"][name] = {"error": "process 7 is gone"}
    response["clients"] = {"error": "NotTheTarget: process 7 is gone"}
    response["handshakes"] = {"error": "NotTheTarget: process 7 is gone"}
    seen = observe(snapshot_of(response, logs), case.target, case.key, case.nth)
    assert seen.got is None
    assert "process 7 is gone" in seen.error


def paths(node: object, path: tuple[str | int, ...] = ()) -> list[tuple[str | int, ...]]:
    """Every place in the response."""
    children: list[tuple[str | int, object]] = []
    if isinstance(node, dict):
        children = list(node.items())
    elif isinstance(node, list):
        children = list(enumerate(node))
    return [path, *(found for key, child in children for found in paths(child, (*path, key)))]


def every(snapshot: Snapshot) -> list[Observed]:
    """Every read of every row on one target of each role."""
    on = {
        Role.HOST: "host",
        Role.HAPROXY: HAPROXY,
        Role.TELEMT: "telemt-2",
        Role.LINK: "haproxy/telemt-1",
    }
    return [
        READERS[read.reader](snapshot, on[role], read, limit)
        for limit in TABLE.values()
        for role in limit.on
        for read in limit.reads
    ]


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_a_response_of_another_shape_never_raises(
    data: st.DataObject, response: dict[str, Any], logs: Logs
) -> None:
    broken = copy.deepcopy(response)
    for _ in range(3):
        path = data.draw(st.sampled_from([p for p in paths(broken) if len(p) > 1]))
        junk = data.draw(
            st.sampled_from([None, "", "junk", -1, [], {}, {"error": "EIO: x"}, [None]])
        )
        put(*path)(junk)(broken)
    try:
        snapshot = snapshot_of(broken, logs)
    except EngineError:
        return  # the one place that parses the answer has said so
    for seen in every(snapshot):
        assert (seen.got is None) == bool(seen.error)


def test_observations_are_in_the_tables_order(snapshot: Snapshot) -> None:
    @dataclass(frozen=True)
    class Want:
        limit: str
        target: str

    found = observations(snapshot, [Want("haproxy.maxconn", HAPROXY), Want("nofile", FIRST)])
    assert list(found) == [(HAPROXY, "haproxy.maxconn"), (FIRST, "nofile")]
    assert [seen.source for seen in found[HAPROXY, "haproxy.maxconn"]] == [
        "show info: Maxconn: 4000",
        "show info: Hard_maxconn: 4000",
    ]


def test_every_row_can_be_read_from_the_captured_run(snapshot: Snapshot) -> None:
    assert [seen.error for seen in every(snapshot) if seen.error] == []
