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
from tests.unit import captured


def test_netstat() -> None:
    text = captured.counters()["netstat"]
    names, values = (line.split() for line in text.splitlines() if line.startswith("TcpExt:"))
    found = parse_netstat(text)
    for name in ("TW", "ListenOverflows", "TCPOrigDataSent"):
        assert found[f"netstat.{name}"] == int(values[names.index(name)])
    # Other groups have names of their own that mean other things.
    assert "InOctets" in text
    assert "netstat.InOctets" not in found


def test_sockstat() -> None:
    text = captured.counters()["sockstat"]
    words = text.split()
    found = parse_sockstat(text)
    for name in ("inuse", "orphan", "tw", "mem"):
        assert found[f"sockstat.TCP.{name}"] == int(words[words.index(name, 4) + 1])
    assert found["sockstat.sockets.used"] == int(words[2])


def test_conntrack_is_hexadecimal_and_summed_over_cpus() -> None:
    heading, first, *_ = captured.counters()["conntrack"].splitlines()
    at = heading.split().index("invalid")
    rows = [first.split() for _cpu in range(2)]
    for row, invalid in zip(rows, ("0000004a", "00000064"), strict=True):
        row[:1], row[at] = ["00001c38"], invalid
    found = parse_conntrack("\n".join([heading, *("  ".join(row) for row in rows)]) + "\n")
    # The entries are the table's, and each processor's row has them.
    assert found["conntrack.entries"] == 0x1C38
    assert found["conntrack.invalid"] == 0x4A + 0x64
    assert found["conntrack.drop"] == 2 * int(first.split()[heading.split().index("drop")], 16)


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
