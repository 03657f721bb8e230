"""The pids cgroup, on v1 and v2."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from stackctl.collector import cgroup, reading
from stackctl.collector.cgroup import Mount

V1 = "9:name=systemd:/docker/ab\n8:pids:/docker/ab\n0::/docker/ab\n"
V2 = "0::/system.slice/docker-ab.scope\n"
MOUNTS_V1 = (
    "39 31 0:36 / /sys/fs/cgroup/pids rw,relatime shared:9 - cgroup cgroup rw,pids\n"
    "41 31 0:38 / /sys/fs/cgroup/unified rw,relatime - cgroup2 cgroup2 rw\n"
)
MOUNTS_V2 = "30 23 0:26 / /sys/fs/cgroup rw,nosuid shared:4 - cgroup2 cgroup2 rw,nsdelegate\n"


def test_membership() -> None:
    assert cgroup.membership(V1) == ("pids", "/docker/ab")
    assert cgroup.membership(V2) == ("", "/system.slice/docker-ab.scope")
    assert cgroup.membership("3:cpu,pids:/a:b\n") == ("pids", "/a:b")
    for text in ("", "1:cpu:/\n"):
        with pytest.raises(LookupError):
            cgroup.membership(text)


def test_mounts() -> None:
    assert cgroup.find_mount(MOUNTS_V1, "pids") == Mount("/sys/fs/cgroup/pids", "/")
    assert cgroup.find_mount(MOUNTS_V2, "") == Mount("/sys/fs/cgroup", "/")
    with pytest.raises(LookupError):
        cgroup.find_mount(MOUNTS_V2, "pids")


def test_directories_go_up_to_the_mount() -> None:
    assert cgroup.directories("/a/b", Mount("/c", "/")) == ["/c/a/b", "/c/a", "/c"]
    # An engine in a container sees its own part of the hierarchy at the mount.
    assert cgroup.directories("/docker/x/a", Mount("/c", "/docker/x")) == ["/c/a", "/c"]
    assert cgroup.directories("/", Mount("/c", "/")) == ["/c"]


def arrange(monkeypatch: pytest.MonkeyPatch, root: Path, group: str, mounts: str) -> None:
    """The files of process 7 and of the engine, process 5, below `root`."""

    def read(path: str) -> str:
        if path == "/proc/7/cgroup":
            return group
        if path == "/proc/5/mountinfo":
            return mounts
        return reading.read_text(path.replace("/proc/5/root", str(root)))

    def text(path: str) -> dict[str, Any]:
        return reading.text(path.replace("/proc/5/root", str(root)))

    monkeypatch.setattr(cgroup, "read_text", read)
    monkeypatch.setattr(cgroup, "text", text)


def test_v2_with_an_ancestors_limit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    slice_ = tmp_path / "sys/fs/cgroup/system.slice"
    scope = slice_ / "docker-ab.scope"
    scope.mkdir(parents=True)
    (scope / "pids.max").write_text("4096\n", encoding="utf-8")
    (scope / "pids.current").write_text("7\n", encoding="utf-8")
    (slice_ / "pids.max").write_text("1000\n", encoding="utf-8")
    arrange(monkeypatch, tmp_path, V2, MOUNTS_V2)
    found = cgroup.pids(7, 5)
    assert found["pids.max"]["text"] == "4096\n"
    assert found["pids.max"]["path"] == "/sys/fs/cgroup/system.slice/docker-ab.scope/pids.max"
    assert found["pids.current"]["text"] == "7\n"
    # The last is the root, which has no such file and no limit.
    assert [row["text"] for row in found["ancestors"]] == ["1000\n", "max"]


def test_missing_file_below_the_root_is_an_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    arrange(monkeypatch, tmp_path, V1, MOUNTS_V1)
    assert cgroup.pids(7, 5)["pids.max"]["error"].startswith("ENOENT")


def test_no_controller_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    arrange(monkeypatch, tmp_path, "1:cpu:/\n", MOUNTS_V1)
    assert "no pids controller" in cgroup.pids(7, 5)["pids.max"]["error"]
