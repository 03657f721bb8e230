"""Facts of this machine that are read without the collector's container."""

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
    host = local_host(str(proc))
    assert host
    assert host.kernel == os.uname().release
    assert (host.memory.value, host.memory_available.value) == (2 << 20, 1 << 20)
    assert host.sysctls["fs.nr_open"].value == "1048576\n"
    assert host.sysctls["fs.file-max"].error
    assert host.cgroups.get("x").splitlines() == [
        "2 1 0:2 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw"
    ]
    assert host.tracking.count.error


def test_a_machine_without_proc(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("DOCKER_HOST", raising=False)
    host = local_host(str(tmp_path))
    assert host
    readings = [host.memory, host.memory_available, host.cgroups, *host.sysctls.values()]
    assert all(reading.error for reading in readings)


def test_what_only_the_collector_can_read_says_so(
    proc: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("DOCKER_HOST", raising=False)
    host = local_host(str(proc))
    assert host
    readings = (host.unsaid, host.clock, host.security.apparmor, host.engine.starter.limits)
    assert all("no engine answers" in reading.error for reading in readings)


def test_memory_without_its_row(proc: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("DOCKER_HOST", raising=False)
    (proc / "meminfo").write_text("MemFree: 1 kB\n")
    host = local_host(str(proc))
    assert host
    assert "no MemTotal" in host.memory.error


@pytest.mark.parametrize("engine", ["tcp://192.0.2.1:2376", "ssh://me@192.0.2.1", "nonsense://"])
def test_an_engine_elsewhere_is_not_this_machine(
    engine: str, proc: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DOCKER_HOST", engine)
    assert local_host(str(proc)) is None
