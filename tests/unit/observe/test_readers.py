"""Every reader: what it sees when all is well, when a value is short, when it cannot be read."""

from __future__ import annotations

import copy
import re
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import cache
from typing import Any

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from scripts import capture
from stackctl.checks.finding import Verdict
from stackctl.checks.readers import READERS, observations
from stackctl.checks.verify import sentence, verify
from stackctl.errors import EngineError
from stackctl.limits import TABLE, Limit, Reader, Role
from stackctl.limits.rows import sysctl
from stackctl.limits.values import compact
from stackctl.observe.host import host_facts
from stackctl.observe.observed import Observed
from stackctl.observe.snapshot import Snapshot
from stackctl.plan import make_plan
from stackctl.spec import Stack
from tests.unit import captured

from .cases import CASES, FIRST, HAPROXY, LOGIN, Case, Change, one_queue, put, snapshot_of

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


def seen_after(case: Case, *changes: Change) -> Observed:
    """What its reader makes of the captured answer with these changes."""
    answer = captured.answer(case.of)
    for change in (case.given, *changes):
        change(answer)
    return observe(snapshot_of(answer, captured.logs(case.of)), case.target, case.key, case.nth)


@pytest.mark.parametrize("case", CASES, ids=ids)
def test_right(case: Case) -> None:
    seen = seen_after(case)
    assert (seen.got, seen.error) == (case.right, "")
    assert re.search(case.evidence, seen.source), seen.source


@pytest.mark.parametrize("case", CASES, ids=ids)
def test_short(case: Case) -> None:
    seen = seen_after(case, case.change)
    assert (seen.got, seen.error) == (case.short, "")


@pytest.mark.parametrize("case", CASES, ids=ids)
def test_unreadable_is_an_error_and_never_a_value(case: Case) -> None:
    seen = seen_after(case, case.unreadable)
    assert seen.got is None
    assert seen.error


def nothing_was_read(response: dict[str, Any]) -> None:
    for name in response["targets"]:
        response["targets"][name] = {"error": "process 7 is gone"}
    response["clients"] = {"error": "NotTheTarget: process 7 is gone"}
    response["handshakes"] = {"error": "NotTheTarget: process 7 is gone"}


@pytest.mark.parametrize("case", [c for c in CASES if c.target != "host"], ids=ids)
def test_a_target_that_failed_is_an_error(case: Case) -> None:
    seen = seen_after(case, nothing_was_read)
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


@cache
def places() -> list[tuple[str | int, ...]]:
    """Those that are changed."""
    return [path for path in paths(captured.answer(captured.UNIX)) if len(path) > 1]


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
        path = data.draw(st.sampled_from(places()))
        junk = data.draw(
            st.sampled_from([None, "", "junk", -1, [], {}, {"error": "EIO: x"}, [None]])
        )
        # One of the changes before may have taken the place away.
        with suppress(KeyError, IndexError, TypeError):
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
        "show info: Maxconn: 664",
        "show info: Hard_maxconn: 664",
    ]


def added_since(response: dict[str, Any], key: str, row: Limit) -> None:
    """A sysctl that was not in the table when the answer was captured reads as it is wanted.

    All sysctls are read alike, so a new one needs no capture. `make capture` takes it in.
    """
    for read in row.reads:
        if read.reader is Reader.SYSCTL and read.arg not in response["request"]["sysctls"]:
            assert row.wanted is not None, f"{key}: make capture"
            for owner in (response["host"], *response["targets"].values()):
                owner["value"]["sysctls"].setdefault(read.arg, {"value": compact(row.wanted)})


def test_a_sysctl_that_is_new_in_the_table_needs_no_capture(response: dict[str, Any]) -> None:
    key = "net.ipv4.tcp_rfc1337"
    row = replace(TABLE["net.ipv4.tcp_syncookies"], key=key, reads=(sysctl(key),))
    old = copy.deepcopy(response["host"]["value"]["sysctls"])
    added_since(response, key, row)
    snapshot = snapshot_of(response, captured.logs(captured.UNIX))
    for target in ("host", HAPROXY, FIRST):
        assert READERS[Reader.SYSCTL](snapshot, target, row.reads[0], row).got == 1
    for known in TABLE.values():
        added_since(response, known.key, known)
    assert {name: response["host"]["value"]["sysctls"][name] for name in old} == old


@pytest.mark.parametrize("case", ["bridge-unix", "bridge-tcp", "host-tcp"])
def test_what_was_captured_is_as_its_stack_wants_it(case: str) -> None:
    answer = captured.answer(case)
    # Whether the machine it was captured on has these is chance.
    answer["host"]["value"]["login"] = [{"value": LOGIN}]
    one_queue(answer)
    for key, row in TABLE.items():
        added_since(answer, key, row)
    snapshot = snapshot_of(answer, captured.logs(case))
    stack = Stack.model_validate(yaml.safe_load(capture.STACK + capture.STACKS[case]))
    plan = make_plan(stack, host_facts(snapshot.host, "", {}, stack.name))
    findings = verify(plan, observations(snapshot, plan.requirements))
    assert [sentence(f) for f in findings if f.verdict in (Verdict.SHORT, Verdict.ERROR)] == []
    assert {f.verdict for f in findings if f.target != "host"} <= {Verdict.OK, Verdict.FITTED}
