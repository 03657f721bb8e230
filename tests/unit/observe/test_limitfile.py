"""Limits as text."""

from __future__ import annotations

import contextlib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stackctl.limits import INFINITY
from stackctl.observe.host import parse_login
from stackctl.observe.observed import ParseError
from stackctl.observe.process import parse_limits, parse_pids
from tests.unit import captured

PROPERTY = settings(max_examples=80)

EVERYONE = "* soft nofile 100\n* hard nofile 200\nroot soft nofile 100\nroot hard nofile 200\n"


def test_captured_worker() -> None:
    rows = parse_limits(captured.limits("haproxy"))
    assert rows["Max open files"] == (10000, 20000)
    # HAProxy's worker forbids itself to fork.
    assert rows["Max processes"] == (0, 0)
    assert rows["Max cpu time"] == (INFINITY, INFINITY)
    # Its unit column is empty.
    assert rows["Max nice priority"] == (0, 0)
    assert len(rows) == 16


@pytest.mark.parametrize(
    "line",
    [
        "Max open files            many                 20000                files     ",
        "Max open files            20000",
        "Max open files 20000 20000 files",
        "",
    ],
)
def test_other_lines_give_no_limit(line: str) -> None:
    assert parse_limits(line) == {}


@PROPERTY
@given(st.text())
def test_limits_of_garbage(text: str) -> None:
    for name, pair in parse_limits(text).items():
        assert name.startswith("Max ")
        assert all(0 <= value <= INFINITY for value in pair)


@PROPERTY
@given(st.integers(0, INFINITY), st.integers(0, INFINITY))
def test_limits_round_trip(soft: int, hard: int) -> None:
    line = f"{'Max open files':26}{soft:<21}{hard:<21}{'files':10}"
    assert parse_limits(line) == {"Max open files": (soft, hard)}


@pytest.mark.parametrize(("text", "value"), [("max\n", INFINITY), ("4096\n", 4096), ("0", 0)])
def test_pids(text: str, value: int) -> None:
    assert parse_pids(text) == value


@pytest.mark.parametrize("text", ["", "-1", "4 096", "many", "\u0664", "9" * 30])
def test_pids_of_another_form(text: str) -> None:
    with pytest.raises(ParseError):
        parse_pids(text)


@PROPERTY
@given(st.text())
def test_pids_of_garbage(text: str) -> None:
    with contextlib.suppress(ParseError):
        assert parse_pids(text) >= 0


def test_login() -> None:
    assert parse_login([EVERYONE], "nofile") == (100, 200)


def test_login_last_line_wins_over_files() -> None:
    assert parse_login([EVERYONE, "* - nofile 500\nroot - nofile unlimited\n"], "nofile") == (
        500,
        500,
    )


def test_login_takes_the_lower_of_everyone_and_root() -> None:
    assert parse_login([EVERYONE, "root soft nofile 7"], "nofile") == (7, 200)


def test_login_infinity() -> None:
    assert parse_login(["* - nofile -1\nroot - nofile infinity"], "nofile") == (INFINITY, INFINITY)


def test_login_comments_groups_users_and_junk_are_not_everyone() -> None:
    text = EVERYONE + "# * - nofile 1\n@staff - nofile 1\nalice - nofile 1\n* soft nofile x\n* -\n"
    assert parse_login([text], "nofile") == (100, 200)


@pytest.mark.parametrize(
    ("text", "missing"),
    [
        ("", "soft nofile for * and root"),
        ("* - nofile 1", "soft nofile for root"),
        ("* - nofile 1\nroot soft nofile 1", "hard nofile for root"),
        (EVERYONE.replace("nofile", "nproc"), "soft nofile"),
    ],
)
def test_login_missing(text: str, missing: str) -> None:
    with pytest.raises(ParseError, match="nothing sets") as caught:
        parse_login([text], "nofile")
    assert missing in str(caught.value)


@PROPERTY
@given(st.lists(st.text(), max_size=3))
def test_login_of_garbage(texts: list[str]) -> None:
    with contextlib.suppress(ParseError):
        parse_login(texts, "nofile")
