"""Each likely cause follows from its own evidence, and from nothing less."""

from __future__ import annotations

import copy
from typing import Any

import pytest

from stackctl.checks.readers import READERS
from stackctl.handshake.cause import Cause
from stackctl.handshake.stack_records import StackHandshake, cause_of, handshakes
from stackctl.limits import TABLE, Reader
from tests.unit import captured
from tests.unit.observe.cases import (
    Change,
    cut,
    each,
    edit,
    of_handshakes,
    put,
    put_stat,
    snapshot_of,
)

FIRST = "telemt-1"
CONFIG = ("targets", FIRST, "value", "config", "text", "value")
WHOLE = {"steps": [{"hop": "connect", "ms": 0.1}, {"hop": "answer", "ms": 3.0}]}
BROKEN: dict[str, Any] = {
    "steps": [],
    "ended": {"hop": "answer", "cause": "closed", "detail": "closed"},
}


@pytest.fixture
def dead() -> dict[str, Any]:
    """The answer of a stack whose replicas reach no data centre."""
    return captured.answer("no-data-centre")


def made(response: dict[str, Any], place: str = FIRST, mode: str = "") -> list[StackHandshake]:
    return [
        one
        for one in handshakes(snapshot_of(response))
        if one.place == place and mode in ("", one.mode)
    ]


def cause(response: dict[str, Any], place: str = FIRST, mode: str = "tls") -> Cause:
    (one,) = made(response, place, mode)
    assert one.cause
    assert one.word == one.cause.word
    assert one.cause.remedy
    return one.cause


def of_first(**changes: Any) -> Change:
    return of_handshakes(FIRST, lambda record: record.update(copy.deepcopy(changes)))


def tried_first(**changes: Any) -> Change:
    """The same of how far they came."""
    return of_handshakes(FIRST, lambda record: record["tried"].update(copy.deepcopy(changes)))


def counted(**series: float) -> Change:
    return of_first(counted={"value": series})


def failed(hop: str, kind: str, detail: str) -> Change:
    return tried_first(ended={"hop": hop, "cause": kind, "detail": detail})


def config(old: str, new: str) -> Change:
    return edit(old, new, *CONFIG)


def test_nothing_is_wrong_with_the_captured_run(response: dict[str, Any]) -> None:
    seen = handshakes(snapshot_of(response))
    assert [one.place for one in seen] == ["published"] * 2 + [FIRST] * 2 + ["telemt-2"] * 2
    assert [one.cause for one in seen] == [None] * 6
    assert {one.ended for one in seen} == {""}
    assert {one.server for one in seen} == {FIRST, "telemt-2"}


def test_a_replica_that_reaches_no_data_centre(dead: dict[str, Any]) -> None:
    for place in (FIRST, "telemt-2"):
        for mode in ("secure", "tls"):
            found = cause(dead, place, mode)
            assert found.word == "data-centre"
            assert "telemt_upstream_connect_fail_total 1" in found.because or place != FIRST
            assert "telemt_upstream_connect_fail_total" in found.because
            assert "can reach Telegram" in found.remedy
            assert "`telemt.datacentre: lab`" in found.remedy
    for mode in ("secure", "tls"):
        found = cause(dead, "published", mode)
        assert found.word == "data-centre"
        assert found.because.startswith("through telemt-")


def test_a_secret_that_the_replicas_do_not_have() -> None:
    answer = captured.answer("other-secret")
    for place in ("published", FIRST, "telemt-2"):
        for mode in ("secure", "tls"):
            found = cause(answer, place, mode)
            assert found.word == "wrong-secret"
            assert "another secret for user1 than the secrets file" in found.because


def test_something_else_answers_in_the_data_centres_place(dead: dict[str, Any]) -> None:
    failed("answer", "not-mtproto", "another answered: a web server")(dead)
    assert "the answer was: another answered: a web server" in cause(dead).because


def test_a_flight_that_is_not_verified_says_nothing_of_the_data_centre(
    dead: dict[str, Any],
) -> None:
    tried_first(steps=[], ended={"hop": "tls", "cause": "closed", "detail": "closed"})(dead)
    counted()(dead)
    assert cause(dead).word == "unknown"


@pytest.mark.parametrize(
    ("change", "word", "words"),
    [
        (failed("connect", "network", "ECONNREFUSED: refused"), "down", "nothing listens"),
        (failed("connect", "network", "ENOENT: none"), "down", "nothing listens"),
        (failed("connect", "network", "EAGAIN: again"), "queue-full", "queue is full"),
        (failed("connect", "network", "EACCES: denied"), "unreachable", "EACCES"),
        (of_first(without_header=WHOLE), "proxy-unread", "answers without a PROXY header"),
        (
            counted(**{'x{class="proxy_protocol_untrusted"}': 1.0}),
            "proxy-refused",
            "does not trust HAProxy's address",
        ),
        (
            counted(**{'x{class="proxy_protocol_invalid_header"}': 1.0}),
            "proxy-refused",
            "cannot read HAProxy's header",
        ),
        (config("tls = true", "tls = false"), "mode-off", "general.modes.tls = false"),
        (
            put("handshakes", "value", "users", FIRST, "value", "user1")("other"),
            "wrong-secret",
            "another secret for user1 than the secrets file",
        ),
        (
            put("handshakes", "value", "users", FIRST, "value", "user1")("none"),
            "wrong-secret",
            "no user user1 of the secrets file",
        ),
        (
            config('tls_domain = "www.example.com"', 'tls_domain = "www.example.org"'),
            "domain",
            "tls_domain www.example.org, and links have www.example.com",
        ),
        (
            put("targets", FIRST, "value", "telemt", "ready", "value")(
                {"status": 503, "body": '{"data":{"ready":false,"reason":"admission_closed"}}'}
            ),
            "not-ready",
            "admission_closed",
        ),
        (
            each(
                of_first(most=2),
                counted(**{'telemt_user_connections_current{user="user1"}': 2.0}),
            ),
            "limit",
            "2 connections at telemt-1; the limit is 2",
        ),
        (
            counted(
                **{
                    'telemt_user_unique_ips_current{user="user1"}': 5.0,
                    'telemt_user_unique_ips_limit{user="user1"}': 5.0,
                }
            ),
            "limit",
            "from 5 addresses; the limit is 5",
        ),
    ],
)
def test_each_cause_has_its_evidence(
    dead: dict[str, Any], change: Change, word: str, words: str
) -> None:
    change(dead)
    found = cause(dead)
    assert found.word == word
    assert words in found.because


def test_a_replica_that_has_noticed_that_it_has_no_data_centre(dead: dict[str, Any]) -> None:
    body = '{"data":{"ready":false,"reason":"no_healthy_upstreams"}}'
    put("targets", FIRST, "value", "telemt", "ready", "value")({"status": 503, "body": body})(dead)
    counted()(dead)
    found = cause(dead, mode="secure")
    assert found.word == "data-centre"
    assert "not ready: no_healthy_upstreams" in found.because


def test_a_way_out_that_hangs_is_told_by_fake_tls(dead: dict[str, Any]) -> None:
    """Telemt counts it when it gives up, and the client may be gone by then."""
    for record in dead["handshakes"]["value"]["records"]:
        if record["place"] == FIRST:
            record["counted"] = {"value": {}}
            record["tried"]["ended"] = {
                "hop": "answer",
                "cause": "timeout",
                "detail": "nothing came",
            }
    found = cause(dead, mode="secure")
    assert found.word == "data-centre"
    assert "user1 in mode tls was known there" in found.because
    failed("answer", "closed", "closed")(dead)
    assert cause(dead, mode="secure").word == "unknown"
    failed("answer", "timeout", "nothing came")(dead)
    for record in dead["handshakes"]["value"]["records"]:
        if (record["place"], record["mode"]) == (FIRST, "tls"):
            del record["tried"]["ended"]
            record["arrived"] = {"value": {"named": True}}
    assert cause(dead, mode="secure").word == "unknown"


@pytest.mark.parametrize("kind", ["not-mtproto", "bad-answer"])
def test_a_stranger_behind_the_replica_is_told_by_fake_tls(dead: dict[str, Any], kind: str) -> None:
    """Mode secure alone cannot tell it from the replica's fallback site."""
    failed("answer", kind, "another answered: a web server")(dead)
    counted()(dead)
    found = cause(dead, mode="secure")
    assert found.word == "data-centre"
    assert "it knew the client, and the answer was: another answered: a web server" in found.because
    assert "user1 in mode tls was known there, and reached no data centre" in found.because
    assert cause(dead).word == "data-centre"
    records = dead["handshakes"]["value"]["records"]
    fake_tls = next(r for r in records if (r["place"], r["mode"]) == (FIRST, "tls"))
    # Another user who is known is no evidence for this one.
    fake_tls["user"] = "bob"
    assert cause(dead, mode="secure").word == "unknown"
    fake_tls["user"] = "user1"
    # A flight that is not verified is no evidence for the secret.
    fake_tls["tried"]["steps"] = []
    assert cause(dead, mode="secure").word == "unknown"


@pytest.mark.parametrize(
    "change",
    [
        of_first(without_header=BROKEN),
        config("secure = true", "secure = false"),
        put("handshakes", "value", "users", FIRST)({"error": "EACCES: denied"}),
        put("targets", FIRST, "value", "telemt", "ready")({}),
        of_first(most=9),
        put("targets", FIRST, "value", "config", "text")({"error": "EACCES: denied"}),
    ],
)
def test_half_the_evidence_is_none(dead: dict[str, Any], change: Change) -> None:
    change(dead)
    assert cause(dead).word == "data-centre"


def test_what_was_found_out_for_one_user_holds_for_the_next(dead: dict[str, Any]) -> None:
    """The collector examines one failure for each place and mode."""
    records = dead["handshakes"]["value"]["records"]
    first = next(r for r in records if (r["place"], r["mode"]) == (FIRST, "tls"))
    first |= {"without_header": WHOLE, "tried": BROKEN}
    first["counted"] = {"value": {'telemt_user_connections_current{user="user1"}': 5.0}}
    next_one = {key: first[key] for key in ("place", "mode", "tried")}
    records.append({**next_one, "user": "bob", "most": 5})
    dead["handshakes"]["value"]["users"][FIRST]["value"]["bob"] = "same"
    assert [one.word for one in made(dead, mode="tls")] == ["proxy-unread"] * 2
    # One user's connections are not another's.
    first["without_header"] = BROKEN
    assert [one.word for one in made(dead, mode="tls")] == ["unknown"] * 2
    # What ended elsewhere is another matter.
    first["without_header"] = WHOLE
    records[-1]["tried"] = {"ended": {"hop": "tls", "cause": "closed", "detail": "closed"}}
    assert [one.word for one in made(dead, mode="tls")] == ["proxy-unread", "unknown"]


def test_a_mode_of_another_replica_does_not_matter(dead: dict[str, Any]) -> None:
    config("tls = true", "tls = false")(dead)
    assert cause(dead, "telemt-2").word == "data-centre"
    assert cause(dead, "telemt-1", "secure").word == "data-centre"


@pytest.mark.parametrize(
    ("status", "word"), [("DRAIN", "drain"), ("MAINT", "maint"), ("DOWN 1/2", "down")]
)
def test_a_replica_that_haproxy_leaves_out(
    response: dict[str, Any], status: str, word: str
) -> None:
    _server(response, FIRST, status)
    assert cause(response).word == word
    assert f"HAProxy sends telemt-1 no client: {status}" in cause(response).because
    assert [one.cause for one in made(response, "telemt-2")] == [None, None]
    assert [one.cause for one in made(response, "published")] == [None, None]


def _server(response: dict[str, Any], name: str, status: str) -> None:
    """The status of a replica's server in `show stat`."""
    put_stat(response, ("telemt", name), "status", status)


def test_haproxy_has_no_replica(response: dict[str, Any]) -> None:
    of_handshakes("published", cut)(response)
    _server(response, FIRST, "DRAIN")
    assert cause(response, "published").word == "haproxy"
    _server(response, "telemt-2", "MAINT")
    found = cause(response, "published")
    assert found.word == "no-replica"
    assert "telemt-1 DRAIN, telemt-2 MAINT" in found.because


def test_haproxy_sends_no_header(response: dict[str, Any]) -> None:
    of_handshakes("published", cut)(response)
    of_handshakes("published", lambda record: record.update(with_header=BROKEN))(response)
    assert cause(response, "published").word == "haproxy"
    of_handshakes("published", lambda record: record.update(with_header=WHOLE))(response)
    found = cause(response, "published")
    assert found.word == "proxy-missing"
    behind = made(response, "published")[0].server
    words = f"{behind} answers when the client itself sends a PROXY header"
    assert words in found.because


def test_nobody_at_the_published_address(response: dict[str, Any]) -> None:
    refused = {"hop": "connect", "cause": "network", "detail": "ECONNREFUSED: refused"}
    of_handshakes("published", lambda record: record.update(tried={"ended": refused}))(response)
    found = cause(response, "published")
    assert found.word == "unreachable"
    assert "ECONNREFUSED" in found.because


def test_the_replica_behind_is_known_by_another_connection_of_the_same_address(
    dead: dict[str, Any],
) -> None:
    """One that was closed at once has no session left to ask HAProxy for."""
    of_handshakes("published", lambda record: record.pop("server", None))(dead)
    behind = dead["clients"]["value"][0]["server"]
    assert cause(dead, "published").because.startswith(f"through {behind}: {behind}")
    put("handshakes", "value", "users", behind, "value", "user1")("other")(dead)
    assert cause(dead, "published").word == "wrong-secret"


def test_another_user_tells_where_there_was_no_time_for_this_one(dead: dict[str, Any]) -> None:
    records = dead["handshakes"]["value"]["records"]
    late = next(r for r in records if (r["place"], r["mode"]) == (FIRST, "tls"))
    records.append({**copy.deepcopy(late), "user": "bob"})
    client = late["tried"]["client"]
    late.clear()
    late |= {"place": FIRST, "user": "user1", "mode": "tls", "error": "not tried"}
    of_handshakes("published", lambda record: record.update(server=FIRST))(dead)
    assert cause(dead, "published").word == "data-centre"
    # But not where the same user is answered there.
    late.pop("error")
    late |= {"tried": {"client": client}, "arrived": {"value": {"named": True}}}
    assert cause(dead, "published").word == "haproxy"


def test_what_was_seen_to_fail_goes_before_what_was_not_tried(dead: dict[str, Any]) -> None:
    records = dead["handshakes"]["value"]["records"]
    records.insert(0, {"place": FIRST, "user": "a", "mode": "tls", "error": "late"})
    limit = TABLE["telemt.handshake"]
    target = f"haproxy/{FIRST}"
    seen = READERS[Reader.HANDSHAKE](snapshot_of(dead), target, limit.reads[0], limit)
    assert (seen.got, seen.error) == ("data-centre", "")
    assert "can reach Telegram" in seen.remedy
    del records[1:]
    seen = READERS[Reader.HANDSHAKE](snapshot_of(dead), target, limit.reads[0], limit)
    assert (seen.got, seen.error) == (None, "a tls: late")


def test_what_was_not_tried_is_said(response: dict[str, Any]) -> None:
    of_first(error="not tried: the 10 s there were are over", tried={})(response)
    assert cause(response).word == "not-tried"
    assert made(response, mode="tls")[0].ended == "start"


def test_a_record_alone_has_no_secret_to_show(dead: dict[str, Any]) -> None:
    assert dead["request"]["handshakes"].get("users", {}) == {}
    snapshot = snapshot_of(dead)
    assert cause_of(snapshot, snapshot.handshakes.records[0])
