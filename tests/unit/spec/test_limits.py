"""Overrides of the limits table: every row, every kind."""

from __future__ import annotations

import pytest

from stackctl.errors import SpecError
from stackctl.limits import INFINITY, TABLE, Kind, Limit
from stackctl.spec import Stack
from stackctl.spec.limits import FOLLOWS, overridable
from stackctl.spec.load import parse
from stackctl.spec.yaml import Document


def limits(key: str, value: object) -> Stack:
    values = {"name": "lab", "connections": 8000, "limits": {key: value}}
    return parse(Document(values=values))


ROWS = pytest.mark.parametrize("row", TABLE.values(), ids=lambda row: row.key)


@ROWS
def test_every_row_takes_its_own_value_or_says_why_not(row: Limit) -> None:
    if row.own_number:
        assert limits(row.key, 300).limits.overrides == {row.key: 300}
    elif overridable(row):
        wanted = list(row.wanted) if isinstance(row.wanted, tuple) else row.wanted
        if row.kind is Kind.SOFT_HARD and isinstance(row.wanted, tuple):
            wanted = {"soft": row.wanted[0], "hard": row.wanted[1]}
        assert limits(row.key, wanted).limits.overrides == {row.key: row.wanted}
    else:
        with pytest.raises(SpecError, match="remove this key"):
            limits(row.key, 1)


@ROWS
@pytest.mark.parametrize("value", ["1; reboot", "a b", "x\ny", -1, None, 10**30, {"x": 1}, [], [1]])
def test_every_row_refuses_junk(row: Limit, value: object) -> None:
    with pytest.raises(SpecError) as caught:
        limits(row.key, value)
    assert caught.value.key.startswith(f"limits.{row.key}")


def test_every_derived_number_names_real_keys() -> None:
    for row in TABLE.values():
        if row.derive:
            named = FOLLOWS[row.derive].split(" and ")
            assert set(named) <= set(Stack.model_fields)


@pytest.mark.parametrize(
    ("key", "value", "wanted"),
    [
        ("nofile", 4096, (4096, 4096)),
        ("nofile", {"soft": 1, "hard": 2}, (1, 2)),
        ("net.ipv4.tcp_syncookies", False, 0),
        ("net.ipv4.tcp_syncookies", 1, 1),
        ("net.ipv4.tcp_rmem", [1, 1, 3], (1, 1, 3)),
        ("net.ipv4.ip_local_port_range", [1024, 65535], (1024, 65535)),
        ("engine.tasks", INFINITY, INFINITY),
    ],
)
def test_values(key: str, value: object, wanted: object) -> None:
    found = limits(key, value).limits.overrides[key]
    assert found == wanted
    assert type(found) is type(wanted)


@pytest.mark.parametrize(
    ("key", "value", "at", "says"),
    [
        ("nofile", {"soft": 2, "hard": 1}, ".hard", "below soft 2"),
        ("nofile", {"soft": 2}, ".hard", "is missing"),
        ("nofile", {"soft": True, "hard": 1}, ".soft", "true is not a whole number"),
        ("nofile", {"soft:2": None, "hard": 1}, ".'soft:2'", "write soft: 2, with a space"),
        ("nofile", "soft:1048576", "", "lacks a space after the colon"),
        ("nofile", "soft:1048576 hard:1048576", "", "write soft: 1048576, hard: 1048576"),
        ("nofile", "1048576 ", "", "write 1048576, without quotes"),
        ("nofile", "1M", "", "without a unit"),
        ("nofile", [1, 2], "", "soft: NUMBER"),
        ("nofile", 0, "", "out of range"),
        ("net.core.somaxconn", 2**31, "", "out of range"),
        ("net.ipv4.tcp_syncookies", 2, "", "from 0 to 1"),
        ("net.ipv4.tcp_rmem", [3, 2, 1], "", "does not ascend"),
        ("net.ipv4.tcp_rmem", "4096 131072 16777216", "", "is not a list of 3 numbers"),
        ("net.ipv4.ip_local_port_range", [80, 65535], "[0]", "at random"),
        ("net.ipv4.ip_local_port_range", [2000, 65536], "[1]", "out of range"),
        ("net.ipv4.ip_local_port_range", [2000, 2000], "", "is empty"),
        ("haproxy.maxconn", 5, "", "set connections"),
        ("haproxy.timeout.client", 2**31, "", "out of range"),
        ("net.core.default_qdisc", "fq\n", "", "one word"),
        ("somaxconn", 1, "", "did you mean net.core.somaxconn"),
        ("nofiles", 1, "", "did you mean nofile"),
        ("frobnicate", 1, "", "stackctl limits"),
        ("mode", "lax", "", "fit or strict"),
    ],
)
def test_refusals(key: str, value: object, at: str, says: str) -> None:
    with pytest.raises(SpecError) as caught:
        limits(key, value)
    assert caught.value.key == f"limits.{key}{at}"
    assert says in str(caught.value)


def test_all_limits_are_reported_at_once() -> None:
    values = {
        "name": "lab",
        "connections": 1,
        "limits": {"mode": 1, "nofile": 0, "nproc": {"soft": 0, "hard": 0}},
    }
    with pytest.raises(SpecError) as caught:
        parse(Document(values=values))
    assert len(str(caught.value).splitlines()) == 4


@pytest.mark.parametrize("value", [None, 5, [], "mode:5", "fit"])
def test_limits_is_a_mapping(value: object) -> None:
    with pytest.raises(SpecError, match=r"^limits: .* is not a mapping"):
        parse(Document(values={"name": "lab", "connections": 1, "limits": value}))
