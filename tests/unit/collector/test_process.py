"""Processes as the collector sees them, and the pids cgroup on v1 and v2."""

from __future__ import annotations

import os
import socket
import time
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stackctl.collector import process as procs
from stackctl.collector import reading
from stackctl.collector.answer import Reading
from stackctl.collector.process import Mount, ProcEntry

PROPERTY = settings(max_examples=80)

V1 = "9:name=systemd:/docker/ab\n8:pids:/docker/ab\n0::/docker/ab\n"
V2 = "0::/system.slice/docker-ab.scope\n"
MOUNTS_V1 = (
    "39 31 0:36 / /sys/fs/cgroup/pids rw,relatime shared:9 - cgroup cgroup rw,pids\n"
    "41 31 0:38 / /sys/fs/cgroup/unified rw,relatime - cgroup2 cgroup2 rw\n"
)
MOUNTS_V2 = "30 23 0:26 / /sys/fs/cgroup rw,nosuid shared:4 - cgroup2 cgroup2 rw,nsdelegate\n"
STAT = "25682 ({name}) S 25640 25640 25640 0 -1 4194368 307 0 0 0 0 0 0 0 20 0 2 0 150578 46989312"


def entry(pid: int, parent: int = 1, ticks: int = 0, comm: str = "haproxy") -> ProcEntry:
    return ProcEntry(pid, comm, parent, ticks, "")


@pytest.mark.parametrize("name", ["haproxy", "a) S 1 (b", "", "x y"])
def test_stat(name: str) -> None:
    assert procs.parse_stat(STAT.format(name=name)) == ProcEntry(25682, name, 25640, 150578, "")


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
            entry(10, ticks=5),
            entry(11, parent=10, ticks=50),
            entry(12, parent=10, ticks=90),
            entry(13, parent=10, ticks=99, comm="sh"),
            entry(14, parent=99, ticks=99),
        )
    }
    live, older = procs.live_worker(10, found)
    assert (live.pid, [p.pid for p in older]) == (12, [11])


def test_without_workers_the_process_itself_is_live() -> None:
    live, older = procs.live_worker(10, {10: entry(10)})
    assert (live.pid, older) == (10, [])


def test_status() -> None:
    text = procs.status(os.getpid()).get("status")
    assert {line.partition(":")[0] for line in text.splitlines()} <= procs.STATUS_KEYS
    assert "CapEff:" in text
    assert procs.status(2**22 + 1).error.startswith("ENOENT")


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


def test_file(tmp_path: Path) -> None:
    file = tmp_path / "haproxy.cfg"
    file.write_text("global\n", encoding="utf-8")
    found = procs.file(os.getpid(), str(file))
    assert found.text == Reading("global\n", path=str(file))
    assert (found.path, found.mtime) == (str(file), file.stat().st_mtime)
    assert procs.file(os.getpid(), str(tmp_path / "none")).text.error.startswith("ENOENT")


def test_processes_of_a_container(tmp_path: Path) -> None:
    for pid, group in ((1, "/"), (12, "/docker/ab"), (13, "/docker/cd")):
        (tmp_path / str(pid)).mkdir()
        (tmp_path / str(pid) / "cgroup").write_text(f"0::{group}\n")
    (tmp_path / "14").mkdir()
    (tmp_path / "meminfo").touch()
    assert procs.of_container("ab", str(tmp_path)) == [12]
    assert procs.cgroups([13, 14, 99], str(tmp_path)) == {13: "0::/docker/cd\n"}


def test_membership() -> None:
    assert procs.membership(V1) == ("pids", "/docker/ab")
    assert procs.membership(V2) == ("", "/system.slice/docker-ab.scope")
    assert procs.membership("3:cpu,pids:/a:b\n") == ("pids", "/a:b")
    for text in ("", "1:cpu:/\n"):
        with pytest.raises(LookupError):
            procs.membership(text)


def test_mounts() -> None:
    assert procs.find_mount(MOUNTS_V1, "pids") == Mount("/sys/fs/cgroup/pids", "/")
    assert procs.find_mount(MOUNTS_V2, "") == Mount("/sys/fs/cgroup", "/")
    with pytest.raises(LookupError):
        procs.find_mount(MOUNTS_V2, "pids")


def test_directories_go_up_to_the_mount() -> None:
    assert procs.directories("/a/b", Mount("/c", "/")) == ["/c/a/b", "/c/a", "/c"]
    # An engine in a container sees its own part of the hierarchy at the mount.
    assert procs.directories("/docker/x/a", Mount("/c", "/docker/x")) == ["/c/a", "/c"]
    assert procs.directories("/", Mount("/c", "/")) == ["/c"]


def arrange(monkeypatch: pytest.MonkeyPatch, root: Path, group: str, mounts: str) -> None:
    """The files of process 7 and of the engine, process 5, below `root`."""

    def read(path: str) -> str:
        if path == "/proc/7/cgroup":
            return group
        if path == "/proc/5/mountinfo":
            return mounts
        return reading.read_text(path.replace("/proc/5/root", str(root)))

    def text(path: str) -> Reading[str]:
        return reading.text(path.replace("/proc/5/root", str(root)))

    monkeypatch.setattr(procs, "read_text", read)
    monkeypatch.setattr(procs, "text", text)


def test_v2_with_an_ancestors_limit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    slice_ = tmp_path / "sys/fs/cgroup/system.slice"
    scope = slice_ / "docker-ab.scope"
    scope.mkdir(parents=True)
    (scope / "pids.max").write_text("4096\n", encoding="utf-8")
    (scope / "pids.current").write_text("7\n", encoding="utf-8")
    (slice_ / "pids.max").write_text("1000\n", encoding="utf-8")
    arrange(monkeypatch, tmp_path, V2, MOUNTS_V2)
    found = procs.pids(7, 5)
    where = "/sys/fs/cgroup/system.slice/docker-ab.scope"
    assert found.limit == Reading("4096\n", path=f"{where}/pids.max")
    assert found.current == Reading("7\n", path=f"{where}/pids.current")
    # The last is the root, which has no such file and no limit.
    assert [row.value for row in found.ancestors] == ["1000\n", "max"]
    assert found.path == "/system.slice/docker-ab.scope"


def test_missing_file_below_the_root_is_an_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    arrange(monkeypatch, tmp_path, V1, MOUNTS_V1)
    assert procs.pids(7, 5).limit.error.startswith("ENOENT")


def test_no_controller_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    arrange(monkeypatch, tmp_path, "1:cpu:/\n", MOUNTS_V1)
    assert "no pids controller" in procs.pids(7, 5).limit.error
