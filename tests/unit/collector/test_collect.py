"""The whole run: targets that fail, steps that hang, requests of another kind."""

from __future__ import annotations

import io
import json
import os
import threading
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from stackctl.collector import collect, netns, process, target, wire
from stackctl.collector.__main__ import main
from stackctl.collector.answer import VERSION, Answer, Listener, Unread
from stackctl.collector.process import ProcEntry
from stackctl.collector.reading import Deadline, failure
from stackctl.collector.request import ClientsAsked, HaproxyTarget, ReplicaTarget, Request

NOBODY = ("127.0.0.1", 9)
ASKED = ReplicaTarget("telemt-1", 7, "ab" * 32, NOBODY, NOBODY, "/users.toml")
HAPROXY = HaproxyTarget("haproxy", 7, "ab" * 32, 443)
OWN = ProcEntry(7, "telemt", 1, 5, "0::/docker/" + "ab" * 32)


def test_identify() -> None:
    assert target.identify(ASKED, {7: OWN}) is OWN


@pytest.mark.parametrize(
    ("processes", "words"),
    [
        ({}, "does not exist"),
        ({7: OWN._replace(cgroup="0::/docker/" + "cd" * 32)}, "is not in container"),
    ],
)
def test_another_process_is_not_the_target(processes: dict[int, ProcEntry], words: str) -> None:
    with pytest.raises(target.NotTheTarget, match=words):
        target.identify(ASKED, processes)


def test_a_target_that_is_gone() -> None:
    with pytest.raises(target.NotTheTarget, match=r"^process 7 does not exist$"):
        target.collect(ASKED, {}, 1, Deadline(1))


@pytest.mark.parametrize(
    ("now", "words"), [(OWN._replace(ticks=6), "was replaced"), (ProcessLookupError(), "ended")]
)
def test_a_process_that_is_another_after_it_was_read(
    now: ProcEntry | OSError, words: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def read(_pid: int) -> ProcEntry:
        if isinstance(now, OSError):
            raise now
        return now

    monkeypatch.setattr(target, "_read", lambda *_: None)
    monkeypatch.setattr(process, "read", read)
    with pytest.raises(target.NotTheTarget, match=words):
        target.collect(ASKED, {7: OWN}, 1, Deadline(1))


@pytest.mark.parametrize("counted", [False, True])
def test_a_target_whose_namespace_is_closed(counted: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(_pid: int) -> None:
        raise PermissionError(1, "x")

    monkeypatch.setattr(netns, "enter", refuse)
    own = process.read(os.getpid())._replace(cgroup=f"0::/docker/{ASKED.container}")
    asked = replace(ASKED, pid=own.pid, sysctls=("fs.file-max",), config=__file__)
    found = target.collect(asked, {own.pid: own}, os.getppid(), Deadline(1), None, counted)
    why = "network namespace: EPERM: Operation not permitted"
    assert found.netns.error == found.sysctls["fs.file-max"].error == why
    assert found.listeners.errors == (why,)
    assert {reading.error for reading in found.fresh.values()} == {why}
    assert found.telemt is not None
    assert found.telemt.health.error == why
    # What needs no namespace is there.
    assert found.config.text.get("config") == Path(__file__).read_text(encoding="utf-8")
    assert "Max open files" in found.process.limits.get("limits")
    if counted:
        assert found.counters is not None
        assert "TcpExt" in found.counters.netstat.get("netstat")
        assert found.descriptors.get("descriptors").used > 0
        assert found.memory.get("memory") > 0
    else:
        assert found.counters is None
        assert found.memory.error == "not read by the collector"


def row(port: int = 0, path: str = "") -> Listener:
    return Listener(1, 1, 1, "0.0.0.0" if port else "", port, path)


UNIX = replace(ASKED, socket="/t")
TCP = replace(ASKED, address=("0.0.0.0", 443))


@pytest.mark.parametrize(
    ("listener", "asked", "wanted"),
    [
        (row(443), HAPROXY, True),
        (row(444), HAPROXY, False),
        (row(path="/t"), HAPROXY, False),
        (row(path="/t"), UNIX, True),
        (row(443), UNIX, False),
        (row(443), TCP, True),
        (row(path="/t"), TCP, False),
        (row(445), replace(TCP, ports=3), True),
        (row(446), replace(TCP, ports=3), False),
        (row(443), ASKED, False),
    ],
)
def test_whose_owners_are_looked_for(
    listener: Listener, asked: HaproxyTarget | ReplicaTarget, wanted: bool
) -> None:
    assert target.is_of(asked, listener) is wanted


def test_a_step_that_fails_or_hangs_hides_no_other() -> None:
    hold = threading.Event()
    good = collect.StepThread("good", lambda: 1)
    bad = collect.StepThread("bad", lambda: 1 // 0)
    slow = collect.StepThread("slow", hold.wait)
    deadline = Deadline(0.2)
    assert good.result(deadline).value == 1
    assert bad.result(deadline).error.startswith("ZeroDivisionError")
    assert "not done within" in slow.result(deadline).error
    assert slow.ms is None
    hold.set()


def test_what_could_not_be_read_says_so_in_its_own_words() -> None:
    def step() -> None:
        raise Unread("process 7 does not exist")

    assert collect.StepThread("x", step).result(Deadline(5)).error == "process 7 does not exist"


def test_the_host_alone() -> None:
    answer = collect.run(Request(VERSION, ("fs.file-max", "no.such")))
    assert wire.decode(Answer, json.loads(json.dumps(wire.encode(answer)))) == answer
    host = answer.host.get("host")
    assert host.kernel == os.uname().release
    assert host.sysctls["fs.file-max"].get("fs.file-max").strip().isdigit()
    assert host.sysctls["no.such"].error.startswith("ENOENT")
    assert (answer.targets, answer.clients.value, answer.handshakes) == ({}, (), None)
    assert host.counters is None
    assert {"host", "walk", "all"} == set(answer.timing)


def test_counters_are_read_where_they_are_asked_for() -> None:
    host = collect.run(Request(VERSION, (), counters=True)).host.get("host")
    assert host.counters is not None
    assert "TcpExt:" in host.counters.netstat.get("netstat")
    assert len(host.file_nr.get("file-nr").split()) == 3


def test_connections_without_haproxy_are_an_error() -> None:
    request = Request(VERSION, (), clients=ClientsAsked(inside=("127.0.0.1", 1)))
    assert (
        collect.run(request).clients.error == "connections were asked for without a haproxy target"
    )


@pytest.mark.parametrize(("connections", "seconds"), [(0, 15), (250_000, 105), (10**7, 105)])
def test_a_full_haproxy_is_given_time_to_tell(
    connections: int, seconds: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    given: list[float] = []

    def deadline(seconds: float) -> Deadline:
        given.append(seconds)
        return Deadline(seconds)

    monkeypatch.setattr(collect, "Deadline", deadline)
    assert collect.run(Request(VERSION, (), connections)).host.value
    assert given == [seconds]


def ran(sent: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Any:
    monkeypatch.setattr("sys.argv", ["collector"])
    monkeypatch.setattr("sys.stdin", io.StringIO(sent))
    monkeypatch.setattr(os, "_exit", lambda status: None)
    main()
    return json.loads(capsys.readouterr().out)


def test_the_program(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    asked = Request(VERSION, ("fs.file-max",))
    raw = ran(json.dumps(wire.encode(asked)) + "\n", monkeypatch, capsys)
    answer = wire.decode(Answer, raw)
    assert answer.request == asked
    assert answer.host.get("host").sysctls["fs.file-max"].value


def test_a_request_of_another_version(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    raw = ran('{"version": 1, "targets": []}\n', monkeypatch, capsys)
    assert raw == {"version": VERSION, "error": "request version 1"}


SHORT = json.dumps({"version": VERSION}) + "\n"


@pytest.mark.parametrize(
    ("argv", "sent"),
    [(["collector", "{}"], "{}\n"), (["collector"], "{\n"), (["collector"], SHORT)],
)
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
    assert failure(problem).error == words
