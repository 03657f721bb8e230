"""Telemt's own words."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stackctl.collector.answer import NOT_READ, FailedHandshakes, Reading, Unread
from stackctl.observe.observed import ParseError
from stackctl.observe.snapshot import Snapshot
from stackctl.observe.telemt import (
    answers,
    counted_clients,
    ip_of,
    logged_clients,
    parse_beobachten,
    parse_health,
    parse_ready,
)

PROPERTY = settings(max_examples=80)


def test_ready(snapshot: Snapshot) -> None:
    said = answers(snapshot, "telemt-1").ready.get("ready")
    assert parse_ready(said.status, said.body) == ("ready", "")


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


def test_health(snapshot: Snapshot) -> None:
    assert parse_health(answers(snapshot, "telemt-1").health.get("health").body) == "ok"
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


PAGE = """[expected_64_got_0]
192.0.2.7-12
2001:db8::7-3
::ffff:192.0.2.8-1
[other]
192.0.2.7-2

[tls-fingerprints]
t13d010100_0a_0b total=3 192.0.2.9-3
"""


def test_failed_handshakes_by_class_and_address() -> None:
    assert parse_beobachten(PAGE) == {
        ("expected_64_got_0", "192.0.2.7"): 12,
        ("expected_64_got_0", "2001:db8::7"): 3,
        ("expected_64_got_0", "192.0.2.8"): 1,
        ("other", "192.0.2.7"): 2,
    }
    assert parse_beobachten("empty\n") == {}


def test_who_failed_since() -> None:
    after = PAGE.replace("192.0.2.7-12", "192.0.2.7-13").replace("192.0.2.7-2", "192.0.2.7-4")
    after = after.replace("[other]\n", "[other]\n127.8.9.10-1\n")
    grown = counted_clients(Reading(FailedHandshakes(PAGE, after)))
    assert grown == {"192.0.2.7": 3, "127.8.9.10": 1}
    assert counted_clients(Reading(FailedHandshakes(PAGE, PAGE))) == {}


def test_an_address_forgotten_meanwhile_began_anew() -> None:
    pages = FailedHandshakes("[other]\n192.0.2.7-9", "[other]\n192.0.2.7-2")
    assert counted_clients(Reading(pages)) == {"192.0.2.7": 2}


@pytest.mark.parametrize(
    ("reading", "words"),
    [
        (NOT_READ, "not read"),
        (Reading(error="ECONNREFUSED: x", path="http://127.0.0.1/b"), "127.0.0.1/b.*REFUSED"),
        (Reading(FailedHandshakes("beobachten disabled\n", "x")), "disabled"),
    ],
)
def test_who_failed_cannot_be_told(reading: Reading[FailedHandshakes], words: str) -> None:
    with pytest.raises((ParseError, Unread), match=words):
        counted_clients(reading)


@pytest.mark.parametrize(
    ("client", "ip"),
    [
        ("192.0.2.7:5000", "192.0.2.7"),
        ("::ffff:192.0.2.7:5000", "192.0.2.7"),
        ("2001:db8:0::7:443", "2001:db8::7"),
        ("[2001:db8::7]:443", "2001:db8::7"),
    ],
)
def test_ip_of(client: str, ip: str) -> None:
    assert ip_of(client) == ip


@PROPERTY
@given(st.text(alphabet="[]0123456789abcdef:.-\n"))
def test_any_page_has_counters_or_none(page: str) -> None:
    assert all(tries >= 0 for tries in parse_beobachten(page).values())


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
