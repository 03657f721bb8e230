"""HAProxy's admin socket: its lines, and real sockets."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stackctl.collector import haproxy
from stackctl.collector.answer import Reading
from stackctl.collector.reading import Deadline
from tests.unit import captured

from .listeners import LINE, answering

PROPERTY = settings(max_examples=80)


def test_session_line() -> None:
    session = haproxy.parse_session(LINE)
    assert session is not None
    assert (session.id, session.server, session.age) == ("0x7f5c00", "telemt-1", "3s")
    assert (session.client_fd, session.server_fd) == (19, -1)
    assert haproxy.source_of(LINE) == b"127.0.0.3:55017"
    assert haproxy.looks_young(LINE)
    assert session.younger(2)
    assert not session.younger(1)


def test_a_server_is_a_clients_once_it_is_connected() -> None:
    """Before that HAProxy may choose another one."""
    for line, server in (
        (LINE, "telemt-1"),
        (LINE.replace(b"scb=[8,", b"scb=[5,"), ""),
        (LINE.replace(b"srv=telemt-1", b"srv=<none>"), ""),
    ):
        session = haproxy.parse_session(line)
        assert session is not None
        assert session.connected == server


def test_old_sessions_are_not_young() -> None:
    old = LINE.replace(b"age=3s", b"age=1m3s")
    session = haproxy.parse_session(old)
    assert session is not None
    assert not session.younger(100)
    assert not haproxy.looks_young(old)


def test_captured_session_of_the_admin_socket_itself() -> None:
    (line,) = [line for line in captured.sessions() if "fe=GLOBAL" in line]
    session = haproxy.parse_session(line.encode())
    assert session is not None
    assert (session.frontend, session.server) == ("GLOBAL", "<none>")


def test_captured_session_of_a_client() -> None:
    (line,) = [line for line in captured.sessions() if "fe=clients" in line]
    session = haproxy.parse_session(line.encode())
    assert session is not None
    assert (session.frontend, session.backend) == ("clients", "telemt")
    assert session.connected == session.server
    assert session.server.startswith("telemt-")
    assert haproxy.looks_young(line.encode())


@PROPERTY
@given(st.binary())
def test_garbage_is_no_session(line: bytes) -> None:
    assert haproxy.parse_session(line) is None
    haproxy.source_of(line)


def test_servers_that_can_be_given_a_connection() -> None:
    stat = captured.haproxy_said("stat")
    assert haproxy.servers(stat, "telemt") == ["telemt-1", "telemt-2"]
    assert haproxy.servers(stat.replace(",UP,", ",DOWN,", 1), "telemt") == ["telemt-2"]
    assert haproxy.servers(stat, "other") == []
    assert haproxy.servers("", "telemt") == []


def test_connections_that_haproxy_has() -> None:
    info = captured.haproxy_said("info")
    assert haproxy.held(info) == 0
    assert haproxy.held(info.replace("CurrConns: 0", "CurrConns: 30210")) == 30_210
    assert haproxy.held("Name: HAProxy\n") == 0


def own(path: Path) -> haproxy.Admin:
    return haproxy.Admin(os.getpid(), str(path), Deadline(5))


def test_sessions_are_read_line_by_line(tmp_path: Path) -> None:
    path = tmp_path / "a.sock"
    noise = LINE.replace(b"127.0.0.3", b"127.0.0.9") + b"\n"
    with answering(path, noise * 3000 + LINE + b"\n" + noise * 3000 + b"\n"):
        found = own(path).sessions(
            lambda line: haproxy.source_of(line) == b"127.0.0.3:55017", lambda session: True
        )
    assert [session.source for session in found] == ["::ffff:127.0.0.3:55017"]


def test_answer_and_error_of_the_admin_socket(tmp_path: Path) -> None:
    path = tmp_path / "a.sock"
    assert own(path).reading("show info").error.startswith("ENOENT")
    with answering(path, b"Name: HAProxy\n"):
        assert own(path).reading("show info") == Reading("Name: HAProxy\n")


def test_an_answer_ends_with_the_run(tmp_path: Path) -> None:
    """However steadily it comes."""
    path = tmp_path / "a.sock"
    over = haproxy.Admin(os.getpid(), str(path), Deadline(-1))
    with answering(path, LINE):
        assert over.reading("show info").error.startswith("ETIMEDOUT")


def test_too_long_an_answer_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(haproxy, "_MOST", 10)
    path = tmp_path / "a.sock"
    with answering(path, b"x" * 11):
        assert "more than 10 bytes" in own(path).reading("show info").error
