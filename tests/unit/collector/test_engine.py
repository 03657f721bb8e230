"""The engine's processes: what a dockerd was told, docker-proxies, login limits."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from stackctl.collector import engine
from stackctl.collector.answer import Reading
from stackctl.collector.process import ProcEntry


@pytest.fixture
def process(tmp_path: Path) -> Iterator[tuple[int, Path]]:
    """A process with arguments of a daemon's kind, and the file that it names."""
    file = tmp_path / "daemon.json"
    arguments = ["--userland-proxy=false", "--data-root", "/x", f"--config-file={file}", "--debug"]
    argv = [sys.executable, "-c", "import time; time.sleep(60)", *arguments]
    running = subprocess.Popen(argv)
    end = time.monotonic() + 5
    while b"--debug" not in Path(f"/proc/{running.pid}/cmdline").read_bytes():
        assert time.monotonic() < end
        time.sleep(0.01)
    yield running.pid, file
    running.kill()
    running.wait()


def test_only_what_matters_of_a_daemons_arguments_and_file(process: tuple[int, Path]) -> None:
    pid, file = process
    secret = {"proxies": {"http-proxy": "http://me:secret@192.0.2.1"}}
    file.write_text(json.dumps({"userland-proxy": False, "debug": True, **secret}))
    told = engine.told(pid)
    assert told.flags == Reading(("--userland-proxy=false", f"--config-file={file}"))
    assert told.file == Reading({"userland-proxy": False}, path=str(file))
    assert "secret" not in repr(told)


@pytest.mark.parametrize(
    ("content", "error"), [(None, "ENOENT"), ("{", "JSONDecodeError"), ("[]", "not a JSON object")]
)
def test_a_daemons_file_that_cannot_be_read(
    process: tuple[int, Path], content: str | None, error: str
) -> None:
    pid, file = process
    if content is not None:
        file.write_text(content)
    assert engine.told(pid).file.error.startswith(error)


@pytest.mark.parametrize("pair", [["--config-file", "/a"], ["--config-file=/a"]])
def test_an_option_and_its_word(pair: list[str]) -> None:
    assert engine._named(("--iptables=false", *pair), "--config-file") == "/a"
    assert engine._named((), "--config-file") == ""
    assert engine._named(("--config-file",), "--config-file") == ""


def test_proxies_are_found_with_their_arguments(process: tuple[int, Path]) -> None:
    pid, _ = process
    (found,) = engine.proxies(
        [ProcEntry(pid, "docker-proxy", 7, 0, ""), ProcEntry(1, "sh", 0, 0, "")]
    )
    assert (found.pid, found.parent) == (pid, 7)
    assert found.netns == Reading(str(Path("/proc/self/ns/net").readlink()))
    assert "--debug" in found.arguments.get("arguments")


def test_a_process_that_is_gone_has_no_arguments() -> None:
    assert engine.arguments(2**22 + 1).error.startswith("ENOENT")
    assert engine.told(2**22 + 1).netns.error.startswith("ENOENT")


def test_a_dockerd_among_the_daemons_is_told_what(process: tuple[int, Path]) -> None:
    pid, file = process
    there = {
        1: ProcEntry(1, "init", 0, 0, ""),
        pid: ProcEntry(pid, "dockerd", 1, 0, ""),
        2**22 + 1: ProcEntry(2**22 + 1, "containerd", 1, 0, ""),
    }
    found = engine.collect(there, 1)
    assert (found.starter.comm, found.starter.told) == ("init", None)
    dockerd, containerd = found.daemons
    assert dockerd.told is not None
    assert dockerd.told.file.path == str(file)
    assert (containerd.comm, containerd.told) == ("containerd", None)
    assert containerd.limits.error.startswith("ENOENT")


def test_login_limits_are_in_pams_order(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "limits.d"
    monkeypatch.setattr(engine, "_LIMITS_CONF", str(tmp_path / "limits.conf"))
    monkeypatch.setattr(engine, "_LIMITS_D", str(folder))
    own = os.getpid()
    (missing,) = engine.login(own)
    assert (missing.path, missing.error[:6]) == (str(tmp_path / "limits.conf"), "ENOENT")
    folder.mkdir()
    for name in ("b.conf", "a.conf", "c.txt"):
        (folder / name).write_text(f"# {name}\n")
    assert [file.value for file in engine.login(own)[1:]] == ["# a.conf\n", "# b.conf\n"]
    folder.rename(tmp_path / "other")
    folder.touch()
    assert engine.login(own)[1].error.startswith("ENOTDIR")


def test_an_engine_that_does_not_answer() -> None:
    why: Reading[str] = Reading(error="no engine answers")
    found = engine.unread(why)
    assert (found.starter.limits, found.daemons, found.proxies) == (why, (), ())
