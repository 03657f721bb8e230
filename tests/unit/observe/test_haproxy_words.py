"""HAProxy's own words."""

from __future__ import annotations

import contextlib
import re
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stackctl.observe.haproxy import (
    as_printed,
    parse_info,
    parse_pools,
    parse_session,
    parse_stat,
    printed_seconds,
    servers,
)
from stackctl.observe.observed import ParseError
from stackctl.observe.snapshot import Snapshot
from tests.unit import captured
from tests.unit.observe.cases import snapshot_of

PROPERTY = settings(max_examples=80)


def test_info() -> None:
    info = parse_info(captured.haproxy_said("info"))
    assert info["Version"].startswith("3.0.")
    assert (info["Maxconn"], info["Hard_maxconn"], info["Nbthread"]) == ("664", "664", "2")
    assert int(info["Maxsock"]) > 1200


def test_stat() -> None:
    rows = parse_stat(captured.haproxy_said("stat"))
    assert rows["clients", "FRONTEND"]["slim"] == "600"
    assert rows["telemt", "telemt-1"]["slim"] == "600"
    assert rows["telemt", "telemt-2"]["check_status"] == "L7OK"
    assert ("telemt", "BACKEND") in rows


@pytest.mark.parametrize("text", ["", "Permission denied\n", "pxname,svname\n"])
def test_stat_of_another_form(text: str) -> None:
    with pytest.raises(ParseError):
        parse_stat(text)


def test_pools() -> None:
    pools = parse_pools(captured.haproxy_said("pools"))
    assert pools["buffer"] == 16384
    assert len(pools) > 30


@pytest.mark.parametrize("case", [captured.UNIX, captured.TCP])
def test_session(case: str) -> None:
    session = parse_session(captured.session(case))
    (client, *_) = captured.answer(case)["clients"]["value"]
    assert (session.server, session.source) == (client["server"], client["seen_as"])
    assert (session.client, session.server_side) == ("1h", "1h")


@pytest.mark.parametrize("text", ["", "\n", "Session not found\n", "0x1: [x] source=1.2.3.4:5\n"])
def test_session_gone(text: str) -> None:
    with pytest.raises(ParseError):
        parse_session(text)


def test_two_sessions_are_not_one() -> None:
    with pytest.raises(ParseError, match="two sessions"):
        parse_session(captured.session(captured.UNIX) * 2)


def test_session_without_a_server() -> None:
    text = re.sub(r"server=telemt-\d", "server=<NONE>", captured.session(captured.UNIX))
    assert parse_session(text).server == ""


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("1h", 3600), ("59m59s", 3599), ("10s", 10), ("0s", 0), ("1d2h", 93600), ("1h30m", 5400)],
)
def test_printed_seconds(text: str, seconds: int) -> None:
    assert printed_seconds(text) == seconds


@pytest.mark.parametrize("text", ["", "<NEVER>", "?", "500ms", "1h ", "-1s", "1s1h"])
def test_not_printed_seconds(text: str) -> None:
    with pytest.raises(ParseError):
        printed_seconds(text)


def human_time(seconds: int) -> str:
    """HAProxy's own way: the two largest units, the smaller one only where it is not zero."""
    for unit, name, smaller, short in (
        (86400, "d", 3600, "h"),
        (3600, "h", 60, "m"),
        (60, "m", 1, "s"),
    ):
        if seconds >= unit:
            rest = seconds % unit // smaller
            return f"{seconds // unit}{name}" + (f"{rest}{short}" if rest else "")
    return f"{seconds}s"


@PROPERTY
@given(st.integers(0, 2**31))
def test_printed_and_back(seconds: int) -> None:
    assert printed_seconds(human_time(seconds)) == as_printed(seconds)


@PROPERTY
@given(st.text())
def test_garbage(text: str) -> None:
    parse_info(text)
    parse_pools(text)
    for parse in (parse_session, printed_seconds, parse_stat):
        with contextlib.suppress(ParseError):
            parse(text)


@PROPERTY
@given(st.text())
def test_stat_of_garbage_below_its_heading(text: str) -> None:
    with contextlib.suppress(ParseError):
        parse_stat("# pxname,svname,qcur\n" + text)


def test_servers(snapshot: Snapshot) -> None:
    rows = servers(snapshot)
    assert list(rows) == ["telemt-1", "telemt-2"]
    assert rows["telemt-1"]["status"] == "UP"


def test_servers_without_haproxy(response: dict[str, Any]) -> None:
    response["targets"]["haproxy"] = {"error": "gone"}
    assert servers(snapshot_of(response)) == {}
