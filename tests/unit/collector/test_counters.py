"""What the kernel counts, in a made-up /proc and in the test's own."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from stackctl.collector import counters
from stackctl.collector.answer import Descriptors, Reading

LIMITS = "Limit  Soft Limit  Hard Limit  Units\nMax open files  {soft}  {soft}  files\n"


@pytest.fixture
def proc(tmp_path: Path) -> str:
    """Processes 7, 8 with descriptors and memory; 9 has ended while it was read."""
    for pid, used, soft, anonymous in ((7, 3, 100, 40), (8, 2, 10, 2)):
        folder = tmp_path / str(pid)
        (folder / "fd").mkdir(parents=True)
        for number in range(used):
            (folder / "fd" / str(number)).touch()
        (folder / "limits").write_text(LIMITS.format(soft=soft))
        (folder / "status").write_text(f"Name:\tx\nRssAnon:\t{anonymous} kB\nThreads:\t1\n")
    (tmp_path / "9").mkdir()
    (tmp_path / "7/net/stat").mkdir(parents=True)
    (tmp_path / "7/net/netstat").write_text("TcpExt: A\nTcpExt: 1\n")
    (tmp_path / "7/net/sockstat").write_text("TCP: inuse 1\n")
    (tmp_path / "sys/fs").mkdir(parents=True)
    (tmp_path / "sys/fs/file-nr").write_text("100\t0\t1000\n")
    return str(tmp_path)


def test_a_namespace_by_a_process_in_it(proc: str) -> None:
    found = counters.of(7, proc)
    assert found.netstat == Reading("TcpExt: A\nTcpExt: 1\n", path=f"{proc}/7/net/netstat")
    assert found.sockstat.value == "TCP: inuse 1\n"
    assert found.conntrack.error.startswith("ENOENT")
    own = counters.of("self")
    assert "TcpExt:" in own.netstat.get("netstat")
    assert "TCP: inuse" in own.sockstat.get("sockstat")


def test_open_files_of_the_machine(proc: str) -> None:
    assert counters.file_nr(proc).value == "100\t0\t1000\n"


def test_the_fullest_process_counts(proc: str) -> None:
    assert counters.descriptors([7, 8, 9], proc) == Reading(Descriptors(used=2, soft=10))
    assert counters.descriptors([7, 9], proc) == Reading(Descriptors(used=3, soft=100))
    assert counters.descriptors([9], proc).error == "no process of it could be read"
    own = counters.descriptors([os.getpid()]).get("descriptors")
    assert 0 < own.used <= own.soft


def test_anonymous_memory_is_summed(proc: str) -> None:
    assert counters.memory([7, 8, 9], proc) == Reading(42 * 1024)
    assert counters.memory([9], proc).error == "no process of it could be read"
    assert counters.memory([os.getpid()]).get("memory") > 1024


def test_rows_in_kilobytes() -> None:
    assert counters.kilobytes("A:  3 kB\nB: 4\nC\n") == {"A": 3072}
    with pytest.raises(ValueError, match="x"):
        counters.kilobytes("A: x kB")
