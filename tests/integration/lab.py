"""A running lab, driven as an operator would: by the command line."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import docker
from docker.models.containers import Container

STACKCTL = [sys.executable, "-m", "stackctl"]

WRONG = {"short", "error"}
"""Verdicts of a limit that is not as the plan wants it."""

UIDS = {"haproxy": 99, "telemt": 65532}
"""The user each container's process runs as."""


@cache
def _engine() -> docker.DockerClient:
    return docker.from_env()


def stackctl(*args: str, cwd: Path, timeout: float = 300) -> subprocess.CompletedProcess[str]:
    """Run stackctl; its status and output are the test's to judge."""
    return subprocess.run(
        [*STACKCTL, *args],
        cwd=cwd,
        capture_output=True,
        text=True,
        timeout=timeout,
        check=False,
        stdin=subprocess.DEVNULL,
        env=os.environ | {"NO_COLOR": "1"},
    )


@dataclass(frozen=True)
class Lab:
    """One stack in its own folder.

    Attributes:
        folder: holds stack.yaml and secrets.yaml.
        name: of the stack.
        port: for clients.
    """

    folder: Path
    name: str
    port: int

    def run(self, *args: str, timeout: float = 300) -> subprocess.CompletedProcess[str]:
        """A stackctl command on this stack."""
        return stackctl(*args, cwd=self.folder, timeout=timeout)

    def verify(self) -> dict[str, Any]:
        """The object of `verify --json`; its exit status must be the one it states."""
        done = self.run("verify", "--json")
        assert done.stdout, f"verify printed nothing: {done.stderr}"
        report: dict[str, Any] = json.loads(done.stdout)
        assert report["exit"] == done.returncode
        return report

    def why_wrong(self) -> dict[tuple[str, str, str], str]:
        """(limit, target, verdict) of every finding that is short or an error, and its evidence."""
        wrong = [f for f in self.verify()["findings"] if f["verdict"] in WRONG]
        found = {(f["limit"], f["target"], f["verdict"]): f["evidence"] for f in wrong}
        assert len(found) == len(wrong), "a limit of a target has one finding"
        return found

    def wrong(self) -> list[tuple[str, str, str]]:
        """(limit, target, verdict) of every finding that is short or an error; prints why."""
        found = self.why_wrong()
        for (limit, target, verdict), evidence in found.items():
            print(f"{verdict} {limit} on {target}: {evidence}")
        return list(found)

    def container(self, target: str) -> Container:
        """The container of a target, as the engine has it now."""
        found = _engine().containers.list(
            all=True,
            filters={"label": [f"io.stackctl.stack={self.name}", f"io.stackctl.target={target}"]},
        )
        assert len(found) == 1, f"{len(found)} containers are {target} of {self.name}"
        return found[0]

    def pid(self, target: str) -> int:
        """First process of a target's container."""
        return int(self.container(target).attrs["State"]["Pid"])

    def worker(self) -> int:
        """HAProxy's newest worker: the child of the container's first process."""
        master = self.pid("haproxy")
        children = Path(f"/proc/{master}/task/{master}/children").read_text().split()
        return max(int(child) for child in children)

    @property
    def rendered(self) -> Path:
        """Where `up` renders this stack."""
        return self.folder / ".stackctl" / self.name

    def admin(self, command: str) -> str:
        """A command on HAProxy's admin socket."""
        import socket

        path = f"/proc/{self.worker()}/root/run/haproxy/admin.sock"
        with socket.socket(socket.AF_UNIX) as connection:
            connection.settimeout(5)
            connection.connect(path)
            connection.sendall(f"{command}\n".encode())
            answer = b""
            while part := connection.recv(65536):
                answer += part
        return answer.decode()

    def in_netns(self, target: str, *argv: str) -> str:
        """Run a host's command in a target's network namespace."""
        done = subprocess.run(
            ["nsenter", "-t", str(self.pid(target)), "-n", *argv],
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, f"{argv}: {done.stderr}"
        return done.stdout.strip()

    def as_target(self, target: str, *argv: str) -> None:
        """Run a host's command as a target's user: what may lower that user's limits."""
        uid = UIDS[target.partition("-")[0]]
        done = subprocess.run(
            argv, user=uid, group=uid, extra_groups=[], capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, f"{argv}: {done.stderr}"

    def wait_healthy(self, target: str, seconds: float = 90) -> None:
        """Until the engine calls a target healthy."""
        until(lambda: self.container(target).attrs["State"]["Health"]["Status"] == "healthy",
              seconds, f"{target} healthy")  # fmt: skip

    def wait_l7ok(self, seconds: float = 90) -> None:
        """Until HAProxy's own checks call every replica up."""

        def settled() -> bool:
            rows = [
                line.split(",")
                for line in self.admin("show stat").splitlines()
                if line.startswith("telemt,telemt-")
            ]
            return bool(rows) and all(row[17].startswith("UP") and "L7OK" in row for row in rows)

        until(settled, seconds, "HAProxy sees every replica up")

    def reload(self, edit: Callable[[str], str]) -> None:
        """Change haproxy.cfg in place and have the master start a new worker from it."""
        path = self.rendered / "haproxy/haproxy.cfg"
        before, text = self.worker(), path.read_text()
        changed = edit(text)
        assert changed != text, "the edit changed nothing"
        path.write_text(changed)
        self.container("haproxy").kill("SIGUSR2")
        until(lambda: self.worker() != before, 60, "a new HAProxy worker")
        until(lambda: "Name: HAProxy" in self.admin("show info"), 60, "the worker's socket")
        self.wait_l7ok()


def until(condition: Callable[[], bool], seconds: float, what: str) -> None:
    """Wait for a condition, bounded; fails naming what did not come."""
    end = time.monotonic() + seconds
    last: Exception | None = None
    while time.monotonic() < end:
        try:
            if condition():
                return
        except (OSError, AssertionError, ValueError, docker.errors.DockerException) as error:
            last = error
        time.sleep(0.1)
    raise AssertionError(f"not within {seconds} s: {what}" + (f" ({last})" if last else ""))
