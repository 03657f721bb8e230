"""The one codec of requests and answers: there and back, and what it refuses."""

from __future__ import annotations

import json
from typing import Any

import pytest

from stackctl.collector.answer import (
    NOT_READ,
    VERSION,
    Arrived,
    Ended,
    HandshakeRecord,
    Reading,
    Step,
    Tried,
)
from stackctl.collector.request import (
    ClientsAsked,
    HandshakesAsked,
    HaproxyTarget,
    ReplicaTarget,
    Request,
    Way,
)
from stackctl.collector.wire import WireError, decode, encode

API = ("127.0.0.1", 9091)
WHOLE = Request(
    version=VERSION,
    sysctls=("fs.file-max",),
    connections=600,
    haproxy=HaproxyTarget("haproxy", 1, "ab", 443, ("net.core.somaxconn",)),
    replicas=(
        ReplicaTarget("telemt-1", 2, "cd", API, API, "/u", socket="/t"),
        ReplicaTarget("telemt-2", 3, "ef", API, API, "/u", address=("0.0.0.0", 443), ports=4),
    ),
    clients=ClientsAsked(inside=("127.0.0.1", 443)),
    handshakes=HandshakesAsked(
        users={"alice": "00" * 16},
        modes=("tls",),
        domain="www.example.com",
        published=("192.0.2.1", 443),
        ways={"telemt-1": Way(socket="/t"), "telemt-2": Way(address=("192.0.2.2", 443))},
        each=2.5,
    ),
    counters=True,
)
RECORD = HandshakeRecord(
    "telemt-1",
    "alice",
    "tls",
    Tried((Step("connect", 0.5), Step("tls", 3.0)), Ended("answer", "timeout", "no answer")),
    arrived=Reading(Arrived(named=False, instead=("127.0.0.1",))),
    counted=Reading({"telemt_upstream_connect_fail_total": 1.0}),
    most=0,
)


@pytest.mark.parametrize(
    ("kind", "value"),
    [(Request, WHOLE), (Request, Request(VERSION, ())), (HandshakeRecord, RECORD)],
)
def test_there_and_back(kind: type[Any], value: Any) -> None:
    assert decode(kind, json.loads(json.dumps(encode(value)))) == value


def test_what_is_as_ever_is_left_out() -> None:
    assert encode(Request(VERSION, ())) == {"version": VERSION, "sysctls": []}
    assert encode(Reading(0)) == {"value": 0}
    assert encode(Reading("")) == {"value": ""}
    assert encode(NOT_READ) == {"error": "not read by the collector"}


@pytest.mark.parametrize(
    ("raw", "words"),
    [
        ([], "the whole: an object (Request) was expected"),
        ({"version": 2}, "a key sysctls was expected"),
        ({"version": True, "sysctls": []}, "version: int was expected, not True"),
        ({"version": 2, "sysctls": "x"}, "sysctls: a list was expected"),
        ({"version": 2, "sysctls": [1]}, "sysctls[0]: str was expected, not 1"),
        ({"version": 2, "sysctls": [], "more": 1}, "no key but those of Request was expected"),
        ({"version": 2, "sysctls": [], "clients": {"inside": ["x"]}}, "clients.inside: 2 items"),
        ({"version": 2, "sysctls": [], "counters": 1}, "counters: bool was expected, not 1"),
    ],
)
def test_what_is_not_of_the_type_is_refused_with_its_place(raw: object, words: str) -> None:
    with pytest.raises(WireError) as caught:
        decode(Request, raw)
    assert words in str(caught.value)


def test_a_type_variable_is_what_the_reading_says() -> None:
    assert decode(Reading[int], {"value": 3}) == Reading(3)
    with pytest.raises(WireError, match="value: int was expected"):
        decode(Reading[int], {"value": "3"})
    assert decode(Reading[tuple[str, ...]], {"value": ["a"]}).value == ("a",)
