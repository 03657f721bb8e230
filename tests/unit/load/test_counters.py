"""Parsers of the kernel's counters, on text that a kernel wrote."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from stackctl.limits import TABLE, Role
from stackctl.load.attribution import CAUSES, COUNTERS, Sign, cause_sign, movements
from stackctl.load.connections import CAUSES as ERRNO_CAUSES
from stackctl.load.counters import (
    CounterError,
    changes,
    parse_conntrack,
    parse_file_nr,
    parse_kilobytes,
    parse_netstat,
    parse_sockstat,
)

Captured = Callable[[str], str]


def test_netstat(captured: Captured) -> None:
    found = parse_netstat(captured("netstat.txt"))
    assert found["netstat.TW"] == 43295
    assert found["netstat.ListenOverflows"] == 8
    assert found["netstat.TCPOrigDataSent"] == 517457
    # Other groups have names of their own that mean other things.
    assert "netstat.InOctets" not in found


def test_every_counter_of_the_kernel_that_is_looked_at_exists(captured: Captured) -> None:
    names = {**parse_netstat(captured("netstat.txt")), **parse_conntrack(captured("conntrack.txt"))}
    assert not {s.name for s in COUNTERS if not s.name.startswith("haproxy.")} - set(names)


def test_sockstat(captured: Captured) -> None:
    found = parse_sockstat(captured("sockstat.txt"))
    assert found["sockstat.TCP.inuse"] == 3
    assert found["sockstat.TCP.tw"] == 0
    assert found["sockstat.TCP.mem"] == 21
    assert found["sockstat.sockets.used"] == 8


def test_conntrack_is_hexadecimal_and_summed_over_cpus(captured: Captured) -> None:
    found = parse_conntrack(captured("conntrack.txt"))
    assert found["conntrack.entries"] == 0x1C38
    assert found["conntrack.invalid"] == 0x4A + 0x64
    assert found["conntrack.drop"] == 0


def test_file_nr() -> None:
    assert parse_file_nr("424\t8\t2466174\n") == {"file-nr.used": 416, "file-nr.max": 2466174}


def test_kilobytes() -> None:
    text = "VmRSS:\t  10 kB\nRssAnon:\t    4036 kB\nThreads:\t4\n"
    assert parse_kilobytes(text, "RssAnon") == 4036 * 1024


@pytest.mark.parametrize(
    ("parse", "text"),
    [
        (parse_netstat, ""),
        (parse_netstat, "TcpExt: A B\nTcpExt: 1\n"),
        (parse_netstat, "TcpExt: A\nIpExt: 1\n"),
        (parse_netstat, "TcpExt: A\nTcpExt: x\n"),
        (parse_sockstat, "UDP: inuse 0 mem 0\n"),
        (parse_file_nr, "1 2\n"),
        (parse_file_nr, "1 2 x\n"),
        (parse_conntrack, ""),
        (parse_conntrack, "entries drop\n"),
        (parse_conntrack, "entries drop\n00000001\n"),
        (lambda text: parse_kilobytes(text, "RssAnon"), "RssAnon:\t4\n"),
    ],
)
def test_other_text_is_an_error(parse: Callable[[str], object], text: str) -> None:
    with pytest.raises(CounterError):
        parse(text)


def test_changes() -> None:
    assert changes({"a": 1, "b": 2, "c": 3}, {"a": 4, "b": 2, "d": 9}) == {"a": 3}


@pytest.mark.parametrize("sign", [*COUNTERS, *CAUSES], ids=lambda sign: sign.name)
def test_a_sign_points_at_rows_that_exist(sign: Sign) -> None:
    assert sign.means
    assert set(sign.limits) <= set(TABLE)


def test_a_movement_points_at_the_rows_of_its_own_target() -> None:
    before, after = {"netstat.ListenOverflows": 1}, {"netstat.ListenOverflows": 5}

    def rows(role: Role | None) -> tuple[str, ...]:
        (moved,) = movements("here", role, "tcp", before, after)
        assert moved.by == 4
        return moved.limits

    assert rows(Role.HAPROXY) == ("haproxy.backlog", "net.core.somaxconn")
    assert rows(Role.TELEMT) == ("telemt.listen_backlog", "net.core.somaxconn")
    assert rows(None) == ("haproxy.backlog", "telemt.listen_backlog", "net.core.somaxconn")
    assert rows(Role.HOST) == ()


def test_what_stands_still_is_no_movement() -> None:
    assert not movements("here", None, "unix", {"conntrack.drop": 3}, {"conntrack.drop": 3})


def test_every_cause_has_words() -> None:
    assert {sign.name for sign in CAUSES} >= set(ERRNO_CAUSES.values()) - {"unreachable"}
    assert cause_sign("no-port").limits == ("net.ipv4.ip_local_port_range",)
    assert cause_sign("eproto").means == "the kernel's own name for it"
