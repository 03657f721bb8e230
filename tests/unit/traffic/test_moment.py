"""Readings of a machine, on files that stand for its /proc."""

from __future__ import annotations

from pathlib import Path

import pytest

from stackctl.limits import Role
from stackctl.traffic.moment import Space, read_moment
from tests.unit import captured

SPACES = (Space("host", Role.HOST, "self"), Space("haproxy", Role.HAPROXY, "40", "c" * 64))


@pytest.fixture
def proc(tmp_path: Path) -> Path:
    """A /proc with one container of two processes."""
    counters = captured.counters()
    for process in ("self", "40"):
        net = tmp_path / process / "net"
        (net / "stat").mkdir(parents=True)
        (net / "netstat").write_text(counters["netstat"])
        (net / "sockstat").write_text(counters["sockstat"])
        (net / "stat" / "nf_conntrack").write_text(counters["conntrack"])
    for pid, id_ in (("40", "c" * 64), ("41", "c" * 64), ("42", "d" * 64)):
        (tmp_path / pid).mkdir(exist_ok=True)
        (tmp_path / pid / "cgroup").write_text(f"0::/docker/{id_}\n")
        (tmp_path / pid / "status").write_text("RssAnon:\t    100 kB\n")
    (tmp_path / "43").mkdir()  # it has ended meanwhile
    (tmp_path / "sys/fs").mkdir(parents=True)
    (tmp_path / "sys/fs/file-nr").write_text("500\t0\t2000\n")
    (tmp_path / "meminfo").write_text(
        "MemTotal: 1000 kB\nMemFree: 300 kB\nMemAvailable: 400 kB\n"
        "Buffers: 40 kB\nCached: 60 kB\nSReclaimable: 90 kB\n"
    )
    return tmp_path


def test_a_moment(proc: Path) -> None:
    moment = read_moment(SPACES, {"haproxy": "c" * 64}, str(proc))
    assert moment.memory == {"haproxy": 200 * 1024, "machine": 600 * 1024}
    assert moment.counters["host"]["file-nr.used"] == 500
    assert "file-nr.used" not in moment.counters["haproxy"]
    assert moment.counters["haproxy"]["sockstat.TCP.inuse"] > 0
    assert not moment.unread


def test_what_cannot_be_read_is_named(proc: Path) -> None:
    (proc / "40/net/netstat").unlink()
    (proc / "self/net/sockstat").write_text("nonsense")
    moment = read_moment(SPACES, {}, str(proc))
    assert moment.unread == (
        "host: net/sockstat: no TCP in sockstat",
        "haproxy: net/netstat: ENOENT: No such file or directory",
    )
    assert "netstat.ListenDrops" not in moment.counters["haproxy"]
