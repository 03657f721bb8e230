"""Facts of this machine without the probe."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from stackctl.observe.look import local_host


@pytest.fixture
def proc(tmp_path: Path) -> Path:
    """Some of /proc, made."""
    (tmp_path / "meminfo").write_text("MemTotal:  2048 kB\nMemFree: 1 kB\nMemAvailable: 1024 kB\n")
    (tmp_path / "self").mkdir()
    (tmp_path / "self" / "mountinfo").write_text(
        "1 0 0:1 / / rw - ext4 /dev/x rw\n2 1 0:2 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw\n"
    )
    (tmp_path / "sys" / "fs").mkdir(parents=True)
    (tmp_path / "sys" / "fs" / "nr_open").write_text("1048576\n")
    return tmp_path


def test_what_is_read(proc: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DOCKER_HOST", "unix:///nowhere")
    facts = local_host(proc)
    assert facts["kernel"] == os.uname().release
    assert (facts["memory"], facts["memory_available"]) == ({"value": 2 << 20}, {"value": 1 << 20})
    assert facts["sysctls"]["fs.nr_open"]["text"] == "1048576\n"
    assert "error" in facts["sysctls"]["fs.file-max"]
    assert facts["cgroups"]["text"].splitlines() == [
        "2 1 0:2 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw"
    ]
    assert facts["tracking"]["count"]["error"]


def test_a_machine_without_proc(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("DOCKER_HOST", raising=False)
    facts = local_host(tmp_path)
    readings = [facts["memory"], facts["memory_available"], facts["cgroups"]]
    assert all(reading["error"] for reading in (*readings, *facts["sysctls"].values()))


def test_memory_without_its_row(proc: Path) -> None:
    (proc / "meminfo").write_text("MemFree: 1 kB\n")
    assert "no MemTotal" in local_host(proc)["memory"]["error"]


@pytest.mark.parametrize("host", ["tcp://192.0.2.1:2376", "ssh://me@192.0.2.1", "nonsense://"])
def test_an_engine_elsewhere_is_not_this_machine(
    host: str, proc: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DOCKER_HOST", host)
    assert local_host(proc) == {}
