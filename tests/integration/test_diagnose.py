"""What `diagnose` sees on a live stack: nothing refused, refusals, a nearly full limit."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any

import pytest

from .client import client, connect
from .conftest import TELEMT, MakeLab, labs_in, started
from .lab import Lab


@pytest.fixture(scope="module", params=["bridge", "host"])
def lab(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    """Ten clients fill it."""
    with labs_in(tmp_path_factory) as make:
        yield started(make(network=request.param, connections=10, telemt=TELEMT))


def diagnosed(lab: Lab, seconds: str = "1") -> dict[str, Any]:
    done = lab.run("diagnose", "--seconds", seconds, "--json")
    assert done.stdout, done.stderr
    report: dict[str, Any] = json.loads(done.stdout)
    assert report["exit"] == done.returncode
    return report


def test_quiet(lab: Lab) -> None:
    report = diagnosed(lab)
    # The machine's own namespace may be busy with others.
    growing = {c["where"] for c in report["counters"] if c["grew"]}
    assert growing <= {"host"}
    assert report["unread"] == []
    seen = {(fill["where"], fill["name"]) for fill in report["fills"]}
    assert {("haproxy", "clients"), ("haproxy", "descriptors"), ("telemt-1", "descriptors")} <= seen
    assert {("telemt-1", "connections to it"), ("telemt-2", "connections to it")} <= seen
    assert ("host", "files") in seen


def test_a_limit_that_is_nearly_met_is_named(lab: Lab) -> None:
    with ExitStack() as held:
        for _ in range(9):
            held.enter_context(client(lab))
        report = diagnosed(lab)
        text = lab.run("diagnose", "--seconds", "1").stdout
    full = {(fill["where"], fill["name"]): fill for fill in report["fills"] if fill["nearly"]}
    clients = full["haproxy", "clients"]
    assert (clients["used"], clients["of"]) == (9, 10)
    assert clients["limits"] == ["haproxy.frontend_maxconn"]
    assert report["exit"] == 1
    assert "nearly full" in text


def test_refusals_grow_while_they_happen(lab: Lab) -> None:
    # After this Telemt makes the address wait for a while: it has failed too often.
    stop = threading.Event()

    def knock() -> None:
        while not stop.is_set():
            with connect(lab.port) as sock:
                sock.sendall(b"GET / HTTP/1.0\r\n\r\n" + bytes(100))
            time.sleep(0.1)

    knocking = threading.Thread(target=knock)
    knocking.start()
    try:
        report = diagnosed(lab, "2")
    finally:
        stop.set()
        knocking.join()
    grown = {c["name"].partition("{")[0]: c for c in report["counters"] if c["grew"]}
    assert report["exit"] == 1
    bad = grown["telemt_connections_bad_by_class_total"]
    assert bad["where"] in {"telemt-1", "telemt-2"}
    assert bad["per_second"] > 0


def test_without_a_stack_it_says_so(make_lab: MakeLab) -> None:
    idle = make_lab()
    done = idle.run("diagnose")
    assert done.returncode == 1
    assert "stackctl up" in done.stderr
