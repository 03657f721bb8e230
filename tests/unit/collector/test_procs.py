"""Processes as the probe sees them; this test's own process stands for a target."""

from __future__ import annotations

import os
import socket
import time
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stackctl.collector import procs
from stackctl.collector.procs import Process

PROPERTY = settings(max_examples=80)

STAT = "25682 ({name}) S 25640 25640 25640 0 -1 4194368 307 0 0 0 0 0 0 0 20 0 2 0 150578 46989312"


def process(pid: int, parent: int = 1, ticks: int = 0, comm: str = "haproxy") -> Process:
    return Process(pid, comm, parent, ticks, "")


@pytest.mark.parametrize("name", ["haproxy", "a) S 1 (b", "", "x y"])
def test_stat(name: str) -> None:
    assert procs.parse_stat(STAT.format(name=name)) == Process(25682, name, 25640, 150578, "")


@PROPERTY
@given(st.text())
def test_stat_of_garbage(text: str) -> None:
    with pytest.raises((ValueError, IndexError)):
        procs.parse_stat(text)


def test_own_process_is_found_with_its_start() -> None:
    mine = procs.walk()[os.getpid()]
    assert mine.parent == os.getppid()
    assert mine.cgroup == Path("/proc/self/cgroup").read_text(encoding="utf-8")
    assert procs.read(os.getpid()).ticks == mine.ticks
    assert time.time() - 3600 < procs.started(mine.ticks) <= time.time()


def test_the_newest_worker_is_live() -> None:
    found = {
        p.pid: p
        for p in (
            process(10, ticks=5),
            process(11, parent=10, ticks=50),
            process(12, parent=10, ticks=90),
            process(13, parent=10, ticks=99, comm="sh"),
            process(14, parent=99, ticks=99),
        )
    }
    live, older = procs.live_worker(10, found)
    assert (live.pid, [p.pid for p in older]) == (12, [11])


def test_without_workers_the_process_itself_is_live() -> None:
    live, older = procs.live_worker(10, {10: process(10)})
    assert (live.pid, older) == (10, [])


def test_status() -> None:
    text = procs.status(os.getpid())["text"]
    assert {line.partition(":")[0] for line in text.splitlines()} <= procs.STATUS_KEYS
    assert "CapEff:" in text
    assert procs.status(2**22 + 1)["error"].startswith("ENOENT")


def test_own_sockets() -> None:
    with socket.socket() as sock, socket.socket() as other:
        inode = os.fstat(sock.fileno()).st_ino
        assert procs.sockets(os.getpid(), {inode, 1}) == {inode}
        assert os.fstat(other.fileno()).st_ino not in procs.sockets(os.getpid(), {inode})


def test_links_stay_inside_the_root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "run").mkdir()
    (tmp_path / "var").mkdir()
    (tmp_path / "var/run").symlink_to("/run")
    (tmp_path / "run/up").symlink_to("../../../../run/cfg")
    (tmp_path / "run/loop").symlink_to("loop")

    def readlink(path: str) -> str:
        return str(Path(path.replace("/proc/7/root", str(tmp_path))).readlink())

    class FakeOs:
        strerror = staticmethod(os.strerror)

    fake = FakeOs()
    fake.readlink = readlink  # type: ignore[attr-defined]
    monkeypatch.setattr(procs, "os", fake)
    assert procs.inside(7, "/var/run/admin.sock") == "/proc/7/root/run/admin.sock"
    assert procs.inside(7, "/run/up") == "/proc/7/root/run/cfg"
    assert procs.inside(7, "/../../etc/./x") == "/proc/7/root/etc/x"
    with pytest.raises(OSError, match="symbolic links"):
        procs.inside(7, "/run/loop")


def test_config(tmp_path: Path) -> None:
    file = tmp_path / "haproxy.cfg"
    file.write_text("global\n", encoding="utf-8")
    found = procs.config(os.getpid(), str(file))
    assert (found["text"], found["path"]) == ("global\n", str(file))
    assert found["mtime"] == file.stat().st_mtime
    assert "error" in procs.config(os.getpid(), str(tmp_path / "none"))
