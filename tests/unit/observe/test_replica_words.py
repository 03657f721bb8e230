"""Telemt's own words."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stackctl.observe.limitfile import ParseError
from stackctl.observe.replica import logged_clients, parse_health, parse_ready

PROPERTY = settings(deadline=None, max_examples=80)


def test_ready() -> None:
    assert parse_ready(200, '{"ok":true,"data":{"ready":true,"reason":null}}') == ("ready", "")


def test_not_ready_with_a_reason() -> None:
    body = '{"ok":true,"data":{"ready":false,"reason":"admission_closed"}}'
    assert parse_ready(503, body) == ("not-ready", "admission_closed")


@pytest.mark.parametrize(
    ("status", "body"),
    [
        (200, '{"data":{"ready":false}}'),
        (503, '{"data":{"ready":true}}'),
        (200, '{"data":{}}'),
        (200, '{"data":{"ready":1}}'),
        (200, "[]"),
        (200, "<html>"),
        (200, ""),
    ],
)
def test_ready_of_another_form(status: int, body: str) -> None:
    with pytest.raises(ParseError):
        parse_ready(status, body)


def test_health() -> None:
    assert parse_health('{"ok":true,"data":{"status":"ok"}}') == "ok"
    with pytest.raises(ParseError):
        parse_health('{"data":{"status":5}}')


def test_logged_clients() -> None:
    lines = [
        '{"event":"client","client":"192.0.2.7:5000","peer":"127.0.0.1:0","via":"proxy_v2"}',
        '{"event":"client","client":"::ffff:192.0.2.8:6000","via":"direct"}',
        '{"event":"stop","client":"192.0.2.9:7"}',
        '{"event":"client","client":7,"via":"direct"}',
        "2026-01-01 INFO client connected",
        '{"client"',
    ]
    found = logged_clients(lines)
    assert [(one.client, one.by_header) for one in found] == [
        ("192.0.2.7:5000", True),
        ("192.0.2.8:6000", False),
    ]


@PROPERTY
@given(st.text(), st.integers())
def test_garbage(text: str, status: int) -> None:
    assert logged_clients([text]) == ()
    for attempt in (lambda: parse_ready(status, text), lambda: parse_health(text)):
        with pytest.raises(ParseError):
            attempt()


@PROPERTY
@given(st.recursive(st.none() | st.booleans() | st.integers() | st.text(), st.lists, max_leaves=5))
def test_logged_clients_of_other_json(value: object) -> None:
    import json

    assert logged_clients([json.dumps({"client": value})]) == ()
