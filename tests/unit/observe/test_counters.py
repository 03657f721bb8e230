"""Parsers of the kernel's counters, on text that a kernel wrote, and HAProxy's rows."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from stackctl.observe.counters import (
    CounterError,
    changes,
    haproxy_counters,
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


def test_haproxys_rows_are_summed() -> None:
    rows = {"telemt-1": {"econ": "2", "wretr": ""}, "telemt-2": {"econ": "3", "wretr": "1"}}
    assert haproxy_counters(rows) == {"haproxy.econ": 5, "haproxy.wretr": 1}
