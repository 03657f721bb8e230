"""What a replica says: its API, its metrics, and its page of failed handshakes, read twice."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stackctl.collector import collect, telemt
from stackctl.collector.answer import (
    NOT_READ,
    VERSION,
    Connection,
    FailedHandshakes,
    Http,
    Reading,
    TelemtAnswers,
)
from stackctl.collector.reading import Deadline
from stackctl.collector.request import ClientsAsked, ReplicaTarget, Request

from .listeners import replying

PROPERTY = settings(max_examples=80)

PAGE = """\
# TYPE telemt_connections_bad_by_class_total counter
telemt_connections_bad_by_class_total{class="proxy_protocol_untrusted"} 4
telemt_connections_bad_by_class_total{class="other"} x
telemt_connections_total 12
telemt_accept_permit_timeout_total 1
telemt_upstream_connect_fail_total 0
"""

STRANGERS = "".join(f"10.{n >> 8 & 255}.{n & 255}.1-4\n" for n in range(10_000))
BEFORE = f"[expected_64_got_0]\n{STRANGERS}192.0.2.7-2\n[other]\n192.0.2.7-2\n"
AFTER = BEFORE.replace("192.0.2.7-2\n[", "192.0.2.7-3\n127.8.9.10-1\n[")
CAME = Connection("inside", "x", server="telemt-1", seen_as="127.8.9.10:5000")


@contextmanager
def pages(*bodies: str, status: int = 200) -> Iterator[tuple[str, int]]:
    """Answers with one body after the other; the last one stays."""
    left = list(bodies)

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            body = (left.pop(0) if len(left) > 1 else left[0]).encode()
            self.send_response(status if self.path == "/beobachten" else 404)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *args: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
        thread.start()
        yield "127.0.0.1", server.server_port
        server.shutdown()
        thread.join(5)


def count(
    address: tuple[str, int], made: list[Connection], seconds: float = 60
) -> Reading[FailedHandshakes]:
    moments = telemt.Moments(["telemt-1"])
    one = telemt.FailedCount(address, "telemt-1", moments, Deadline(seconds))
    moments.await_read(0.1)
    moments.over(made)
    return one.reading()


def test_lines_in_common_are_left_out() -> None:
    with pages(BEFORE, AFTER) as address:
        found = count(address, [CAME])
    assert found == Reading(
        FailedHandshakes(
            before="[expected_64_got_0]\n192.0.2.7-2\n[other]",
            after="[expected_64_got_0]\n192.0.2.7-3\n127.8.9.10-1\n[other]",
        ),
        path=f"http://127.0.0.1:{address[1]}/beobachten",
    )


def test_it_waits_until_the_client_shows(monkeypatch: pytest.MonkeyPatch) -> None:
    # As long as a busy machine may take for four pages.
    monkeypatch.setattr(telemt, "_SHOWN", 60)
    with pages(BEFORE, BEFORE, BEFORE, AFTER) as address:
        assert "127.8.9.10-1" in count(address, [CAME]).get("page").after


def test_it_waits_a_second_at_most(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(telemt, "_SHOWN", 0.05)
    with pages("empty\n") as address:
        found = count(address, [CAME])
    assert found.value == FailedHandshakes("", "")


def test_clients_of_other_replicas_are_not_waited_for() -> None:
    # Who waited would have asked again, and seen the third page.
    with pages(BEFORE, BEFORE, AFTER) as address:
        others = [replace(CAME, server="telemt-2"), Connection("published", "x", error="x")]
        found = count(address, others)
    same = "[expected_64_got_0]\n[other]"
    assert found.value == FailedHandshakes(same, same)


def test_failures_stand_for_the_pages(monkeypatch: pytest.MonkeyPatch) -> None:
    with pages("x", status=403) as address:
        assert count(address, []).error == "ValueError: GET /beobachten: status 403"
    assert count(address, []).error.startswith("ECONNREFUSED")
    monkeypatch.setattr(telemt, "_AFTER", 5.0)
    with pages("empty\n") as address:
        one = telemt.FailedCount(address, "telemt-1", telemt.Moments(["telemt-1"]), Deadline(5))
        assert one.reading().error.startswith("ETIMEDOUT")


def test_the_connections_wait_for_every_replica_and_not_for_ever() -> None:
    moments = telemt.Moments(["telemt-1", "telemt-2"])
    moments.read("telemt-1")
    assert not moments.await_read(0.01)
    moments.read("telemt-2")
    assert moments.await_read(60)
    assert telemt.Moments([]).await_read(60)


def test_a_replica_that_is_gone_holds_nothing_up(monkeypatch: pytest.MonkeyPatch) -> None:
    moments = telemt.Moments(["telemt-1"])
    monkeypatch.setattr(collect, "Moments", lambda _replicas: moments)
    replica = ReplicaTarget("telemt-1", 0, "ab" * 32, ("127.0.0.1", 8), ("127.0.0.1", 9), "/u")
    inside = ClientsAsked(inside=("127.0.0.1", 1))
    answer = collect.run(Request(VERSION, (), replicas=(replica,), clients=inside))
    assert "does not exist" in answer.targets["telemt-1"].error
    assert "without a haproxy" in answer.clients.error
    # What the connections wait for has come, so they go on at once.
    assert moments.await_read(0)


def test_api_answer() -> None:
    answer = b'HTTP/1.1 503 Service Unavailable\r\nA: b\r\n\r\n{"data":{}}'
    assert telemt.parse(answer) == Http(503, '{"data":{}}')


@PROPERTY
@given(st.binary())
def test_api_garbage(answer: bytes) -> None:
    with pytest.raises(ValueError, match=r"."):
        telemt.parse(answer)


@pytest.mark.parametrize(
    ("answer", "whole"),
    [
        (b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}", True),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\n{}", False),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n", False),
        (b"HTTP/1.1 200 OK\r\nContent-Length: -\r\n\r\n{}", False),
        (b"", False),
    ],
)
def test_api_answer_is_whole(answer: bytes, whole: bool) -> None:
    assert telemt.complete(answer) is whole


def test_api_over_a_socket() -> None:
    # It keeps the connection open, whatever it was asked.
    ok = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}"
    with replying(lambda data: ok if data.startswith(b"GET /v1/health ") else b"") as address:
        seen = telemt.parse(telemt.get(address, "/v1/health", Deadline(1)))
    assert seen == Http(200, "{}")


def replica(address: tuple[str, int], users: Path) -> ReplicaTarget:
    return ReplicaTarget("telemt-1", os.getpid(), "ab", address, ("127.0.0.1", 9), str(users))


def answers(target: ReplicaTarget, counted: bool = False) -> TelemtAnswers:
    return telemt.answers(target, os.getpid(), Deadline(1), None, counted)


def test_the_api_is_shown_the_secret_of_the_replica_s_own_file(tmp_path: Path) -> None:
    secrets = tmp_path / "users.toml"
    secrets.write_text('auth_header = "Bearer y"\n[access.users]\nalice = "00"\n')
    heard: list[bytes] = []
    ok = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}"
    with replying(lambda data: heard.append(data) or ok) as address:
        seen = answers(replica(address, secrets))
    assert b"\r\nAuthorization: Bearer y\r\n" in heard[0]
    url = "http://{}:{}/v1/health".format(*address)
    assert seen.health == Reading(Http(200, "{}"), path=url)
    assert (seen.failed, seen.refused) == (NOT_READ, NOT_READ)


@pytest.mark.parametrize("text", [None, "auth_header = ["])
def test_without_that_file_the_api_is_not_asked(tmp_path: Path, text: str | None) -> None:
    secrets = tmp_path / "users.toml"
    if text is not None:
        secrets.write_text(text)
    # Nobody listens there: an attempt would be another error.
    seen = answers(replica(("127.0.0.1", 9), secrets))
    for answer in (seen.health, seen.ready):
        assert answer.error.startswith("ENOENT" if text is None else "TOMLDecodeError")


def test_refusals_are_read_where_they_are_asked_for(tmp_path: Path) -> None:
    body = f"HTTP/1.1 200 OK\r\ncontent-length: {len(PAGE)}\r\n\r\n{PAGE}".encode()
    target = replica(("127.0.0.1", 9), tmp_path / "none")
    with replying(lambda data: body if data.startswith(b"GET /metrics ") else b"") as address:
        seen = answers(replace(target, metrics=address), counted=True)
    assert seen.refused.value == telemt.refusals(PAGE)
    assert answers(target, counted=True).refused.error.startswith("ECONNREFUSED")


def test_a_replica_whose_namespace_is_closed() -> None:
    why: Reading[Any] = Reading(error="network namespace: EPERM: Operation not permitted")
    assert telemt.unread(why, failed=False, counted=False) == TelemtAnswers(why, why)
    assert telemt.unread(why, failed=True, counted=True) == TelemtAnswers(why, why, why, why)


def test_refusals_and_nothing_else() -> None:
    assert telemt.refusals(PAGE) == {
        'telemt_connections_bad_by_class_total{class="proxy_protocol_untrusted"}': 4.0,
        "telemt_accept_permit_timeout_total": 1.0,
        "telemt_upstream_connect_fail_total": 0.0,
    }


def test_no_page_has_none() -> None:
    assert telemt.refusals("") == {}
