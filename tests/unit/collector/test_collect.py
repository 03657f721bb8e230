"""The whole run: targets that fail, steps that hang, requests of another kind."""

from __future__ import annotations

import io
import json
import os
import threading
from typing import Any

import pytest

from stackctl.collector import collect, target
from stackctl.collector.__main__ import main
from stackctl.collector.procs import Process
from stackctl.collector.reading import Deadline, failure

ASKED = {"name": "telemt-1", "role": "telemt", "pid": 7, "container": "ab" * 32, "sysctls": []}
OWN = Process(7, "telemt", 1, 5, "0::/docker/" + "ab" * 32)


def test_identify() -> None:
    assert target.identify(ASKED, {7: OWN}) is OWN


@pytest.mark.parametrize(
    ("processes", "words"),
    [
        ({}, "does not exist"),
        ({7: OWN._replace(cgroup="0::/docker/" + "cd" * 32)}, "is not in container"),
    ],
)
def test_another_process_is_not_the_target(processes: dict[int, Process], words: str) -> None:
    with pytest.raises(target.NotTheTarget, match=words):
        target.identify(ASKED, processes)


def test_a_target_that_is_gone_is_an_error_of_its_own() -> None:
    found = target.collect(ASKED, {}, 1, Deadline(1))
    assert (found["name"], found["error"]) == ("telemt-1", "process 7 does not exist")


def test_a_process_replaced_while_it_was_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(target, "_read", lambda found, *rest: found.update(process={}))
    monkeypatch.setattr(target.procs, "read", lambda pid: OWN._replace(ticks=6))
    found = target.collect(ASKED, {7: OWN}, 1, Deadline(1))
    assert "replaced" in found["error"]
    assert "process" not in found


@pytest.mark.parametrize(
    ("row", "more", "wanted"),
    [
        ({"port": 443}, {"role": "haproxy", "port": 443}, True),
        ({"port": 444}, {"role": "haproxy", "port": 443}, False),
        ({"path": "/t"}, {"role": "haproxy", "port": 443}, False),
        ({"path": "/t"}, {"listener": {"unix": "/t"}}, True),
        ({"port": 443}, {"listener": {"unix": "/t"}}, False),
        ({"port": 443}, {"listener": {"tcp": ["0.0.0.0", 443]}}, True),
        ({"path": "/t"}, {"listener": {"tcp": ["0.0.0.0", 443]}}, False),
        ({"port": 445}, {"listener": {"tcp": ["0.0.0.0", 443], "ports": 3}}, True),
        ({"port": 446}, {"listener": {"tcp": ["0.0.0.0", 443], "ports": 3}}, False),
        ({"port": 443}, {}, False),
    ],
)
def test_whose_owners_are_looked_for(
    row: dict[str, Any], more: dict[str, Any], wanted: bool
) -> None:
    assert target.asked_for(row, {**ASKED, **more}) is wanted


def test_a_step_that_fails_or_hangs_hides_no_other() -> None:
    runs = collect.Runs()
    hold = threading.Event()
    runs.start("good", lambda: {"a": 1})
    runs.start("bad", lambda: 1 // 0)
    runs.start("slow", hold.wait)
    runs.wait(Deadline(0.2))
    hold.set()
    assert runs.results["good"] == {"a": 1}
    assert runs.results["bad"]["error"].startswith("ZeroDivisionError")
    assert "not done within" in runs.results["slow"]["error"]


def test_the_host_alone() -> None:
    request = {
        "version": 1,
        "connections": 0,
        "host": {"sysctls": ["fs.file-max", "no.such"]},
        "targets": [],
        "client": None,
    }
    answer = json.loads(json.dumps(collect.run(request)))
    facts = answer["facts"]
    assert facts["kernel"] == os.uname().release
    assert facts["sysctls"]["fs.file-max"]["text"].strip().isdigit()
    assert facts["sysctls"]["no.such"]["error"].startswith("ENOENT")
    assert (answer["targets"], answer["clients"], answer["client_error"]) == ({}, [], "")


def test_connections_without_haproxy_are_an_error() -> None:
    request = {
        "version": 1,
        "connections": 0,
        "host": {"sysctls": []},
        "targets": [],
        "client": {"inside": ["127.0.0.1", 1]},
    }
    assert "no haproxy" in collect.run(request)["client_error"]


@pytest.mark.parametrize(("connections", "seconds"), [(0, 15), (250_000, 105), (10**7, 105)])
def test_a_full_haproxy_is_given_time_to_tell(
    connections: int, seconds: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    given: list[float] = []

    def deadline(seconds: float) -> Deadline:
        given.append(seconds)
        return Deadline(seconds)

    monkeypatch.setattr(collect, "Deadline", deadline)
    asked = {"version": 1, "connections": connections, "host": {"sysctls": []}, "targets": []}
    assert "facts" in collect.run(asked)
    assert given == [seconds]


def test_a_request_of_another_version() -> None:
    assert "request version 2" in collect.run({"version": 2})["error"]


@pytest.mark.parametrize(("argv", "sent"), [(["collector", "{}"], "{}\n"), (["collector"], "{\n")])
def test_usage(argv: list[str], sent: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.argv", argv)
    monkeypatch.setattr("sys.stdin", io.StringIO(sent))
    with pytest.raises(SystemExit) as caught:
        main()
    assert caught.value.code == 2


@pytest.mark.parametrize(
    ("problem", "words"),
    [
        (FileNotFoundError(2, "x"), "ENOENT: No such file or directory"),
        (TimeoutError(), "ETIMEDOUT: no answer in time"),
        (OSError("x"), "OSError: x"),
        (ValueError("x"), "ValueError: x"),
    ],
)
def test_failures(problem: Exception, words: str) -> None:
    assert failure(problem) == {"error": words}
