"""What a replica counts: the page twice, and waiting for each other."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from stackctl.collector import arrivals, collect
from stackctl.collector.reading import Deadline

STRANGERS = "".join(f"10.{n >> 8 & 255}.{n & 255}.1-4\n" for n in range(10_000))
BEFORE = f"[expected_64_got_0]\n{STRANGERS}192.0.2.7-2\n[other]\n192.0.2.7-2\n"
AFTER = BEFORE.replace("192.0.2.7-2\n[", "192.0.2.7-3\n127.8.9.10-1\n[")
CAME = {"server": "telemt-1", "seen_as": "127.8.9.10:5000"}


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
    address: tuple[str, int], records: list[dict[str, Any]], seconds: float = 60
) -> dict[str, Any]:
    moments = arrivals.Moments(["telemt-1"])
    one = arrivals.Count(address, "telemt-1", moments, Deadline(seconds))
    moments.await_read(0.1)
    moments.over(records)
    return one.reading()


def test_lines_in_common_are_left_out() -> None:
    with pages(BEFORE, AFTER) as address:
        found = count(address, [CAME])
    assert found == {
        "before": "[expected_64_got_0]\n192.0.2.7-2\n[other]",
        "after": "[expected_64_got_0]\n192.0.2.7-3\n127.8.9.10-1\n[other]",
        "from": f"http://127.0.0.1:{address[1]}/beobachten",
    }


def test_it_waits_until_the_client_shows(monkeypatch: pytest.MonkeyPatch) -> None:
    # As long as a busy machine may take for four pages.
    monkeypatch.setattr(arrivals, "_SHOWN", 60)
    with pages(BEFORE, BEFORE, BEFORE, AFTER) as address:
        assert "127.8.9.10-1" in count(address, [CAME])["after"]


def test_it_waits_a_second_at_most(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(arrivals, "_SHOWN", 0.05)
    with pages("empty\n") as address:
        found = count(address, [CAME])
    assert (found["before"], found["after"]) == ("", "")


def test_clients_of_other_replicas_are_not_waited_for() -> None:
    # Who waited would have asked again, and seen the third page.
    with pages(BEFORE, BEFORE, AFTER) as address:
        others = [{**CAME, "server": "telemt-2"}, {"via": "published", "error": "x"}]
        found = count(address, others)
    assert found["after"] == found["before"] == "[expected_64_got_0]\n[other]"


def test_failures_stand_for_the_pages(monkeypatch: pytest.MonkeyPatch) -> None:
    with pages("x", status=403) as address:
        assert count(address, [])["error"] == "ValueError: status 403"
    assert count(address, [])["error"].startswith("ECONNREFUSED")
    monkeypatch.setattr(arrivals, "_AFTER", 5.0)
    with pages("empty\n") as address:
        one = arrivals.Count(address, "telemt-1", arrivals.Moments(["telemt-1"]), Deadline(5))
        assert one.reading()["error"].startswith("ETIMEDOUT")


def test_the_connections_wait_for_every_replica_and_not_for_ever() -> None:
    moments = arrivals.Moments(["telemt-1", "telemt-2"])
    moments.read("telemt-1")
    assert not moments.await_read(0.01)
    moments.read("telemt-2")
    assert moments.await_read(60)
    assert arrivals.Moments([]).await_read(60)


def test_a_replica_that_is_gone_holds_nothing_up(monkeypatch: pytest.MonkeyPatch) -> None:
    moments = arrivals.Moments(["telemt-1"])
    monkeypatch.setattr(arrivals, "Moments", lambda _replicas: moments)
    target = {"name": "telemt-1", "role": "telemt", "pid": 0, "container": "ab" * 32, "sysctls": []}
    request = {
        "version": 1,
        "connections": 0,
        "host": {"sysctls": []},
        "targets": [{**target, "metrics": ["127.0.0.1", 9]}],
        "client": {"inside": ["127.0.0.1", 1]},
    }
    answer = collect.run(request)
    assert "does not exist" in answer["targets"]["telemt-1"]["error"]
    assert "no haproxy" in answer["client_error"]
    # What the connections wait for has come, so they go on at once.
    assert moments.await_read(0)
