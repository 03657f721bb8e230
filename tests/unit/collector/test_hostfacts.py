"""Facts of the machine beside the limits: tracking, clock, security modules, the engine's file."""

from __future__ import annotations

import errno
import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from stackctl.collector import clock, dockerd, hostfacts, security, tracking
from stackctl.collector.procs import Process, walk

SHIM = os.getpid()


def answering(answer: Exception | bytes) -> type[socket.socket]:
    """Real sockets, but for what the kernel says of SO_ORIGINAL_DST."""

    class Answering(socket.socket):
        def getsockopt(self, *_args: Any) -> Any:
            assert self.getpeername()[1], "asked before it was connected"
            if isinstance(answer, Exception):
                raise answer
            return answer

    return Answering


@pytest.mark.parametrize(
    ("answer", "reading"),
    [
        (bytes(28), {"value": 1}),
        (FileNotFoundError(errno.ENOENT, "no entry"), {"value": 0}),
        (OSError(errno.ENOPROTOOPT, "x"), {"error": "ENOPROTOOPT: Protocol not available"}),
    ],
)
def test_a_connection_is_looked_up_by_its_own_addresses(
    answer: Exception | bytes, reading: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tracking.socket, "socket", answering(answer))
    assert tracking.readings()["ipv4"] == reading


def test_a_listener_that_cannot_be_made_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tracking, "_LOOPBACK", {"ipv4": (socket.AF_INET, "192.0.2.1", 0)})
    assert tracking.readings()["ipv4"]["error"].startswith("EADDRNOTAVAIL")


def test_the_kernels_clock() -> None:
    found = clock.kernel()
    # What the kernel promises of these fields: a state of adjtimex(2), and no negative errors.
    assert 0 <= found["state"] <= 5
    assert found["maxerror"] >= 0
    assert found["esterror"] >= 0
    # STA_UNSYNC and the state TIME_ERROR go together where no pulse is counted.
    if found["status"] & 0x40:
        assert found["state"] == 5


def test_what_keeps_the_clock_is_found_by_name() -> None:
    there = [Process(n, comm, 1, 0, "") for n, comm in enumerate(["sh", "systemd-timesyn", "sh"])]
    assert clock.readings(there)["keepers"] == {"value": ["systemd-timesyn"]}
    assert clock.readings([])["keepers"] == {"value": []}


def test_security_of_a_machine_without_modules(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    parser = tmp_path / "apparmor_parser"
    monkeypatch.setattr(security, "_PARSERS", (str(parser), "/no/such/parser"))
    assert security.readings(SHIM)["parser"] == {"value": []}
    parser.touch()
    found = security.readings(SHIM)
    assert found["parser"] == {"value": [str(parser)]}
    assert found["selinux"]["path"] == "/sys/fs/selinux/enforce"
    for reading in found.values():
        assert len({"text", "value", "error"} & set(reading)) == 1


@pytest.fixture
def process(tmp_path: Path) -> Iterator[tuple[int, Path]]:
    """A process with arguments of a daemon's kind, and the file that it names."""
    file = tmp_path / "daemon.json"
    arguments = ["--userland-proxy=false", "--data-root", "/x", f"--config-file={file}", "--debug"]
    argv = [sys.executable, "-c", "import time; time.sleep(60)", *arguments]
    running = subprocess.Popen(argv)
    end = time.monotonic() + 30
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
    told = dockerd.told(pid)
    assert told["flags"] == {"value": ["--userland-proxy=false", f"--config-file={file}"]}
    assert told["file"] == {"value": {"userland-proxy": False}, "path": str(file)}
    assert "secret" not in json.dumps(told)


@pytest.mark.parametrize(
    ("content", "error"), [(None, "ENOENT"), ("{", "JSONDecodeError"), ("[]", "not a JSON object")]
)
def test_a_daemons_file_that_cannot_be_read(
    process: tuple[int, Path], content: str | None, error: str
) -> None:
    pid, file = process
    if content is not None:
        file.write_text(content)
    assert dockerd.told(pid)["file"]["error"].startswith(error)


@pytest.mark.parametrize("pair", [["--config-file", "/a"], ["--config-file=/a"]])
def test_an_option_and_its_word(pair: list[str]) -> None:
    assert dockerd._named(["--iptables=false", *pair], "--config-file") == "/a"
    assert dockerd._named([], "--config-file") == ""
    assert dockerd._named(["--config-file"], "--config-file") == ""


def test_proxies_are_found_with_their_arguments(process: tuple[int, Path]) -> None:
    pid, _ = process
    (found,) = dockerd.proxies([Process(pid, "docker-proxy", 7, 0, ""), Process(1, "sh", 0, 0, "")])
    assert (found["pid"], found["parent"]) == (pid, 7)
    assert found["netns"] == {"text": str(Path("/proc/self/ns/net").readlink())}
    assert "--debug" in found["arguments"]["value"]


def test_a_process_that_is_gone_has_no_arguments() -> None:
    assert dockerd.arguments(2**22 + 1)["error"].startswith("ENOENT")
    assert dockerd.told(2**22 + 1)["netns"]["error"].startswith("ENOENT")


def test_the_host_with_everything() -> None:
    facts = hostfacts.collect([], walk(), SHIM)
    assert 0 < facts["memory_available"]["value"] <= facts["memory"]["value"]
    assert "Max open files" in facts["unsaid"]["text"]
    assert all(" - cgroup" in line for line in facts["cgroups"]["text"].splitlines())
    assert set(facts["tracking"]) == {"ipv4", "ipv6", "count"}
    assert facts["engine"]["proxies"] == dockerd.proxies(walk().values())
