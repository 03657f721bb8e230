"""kill -9 at any point: the next apply, or the next rollback, ends in a known state."""

from __future__ import annotations

import os
import shutil
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from .conftest import Host, Outcome, Tree, fresh_host

CHANGERS = ["cat", "chmod", "cp", "cut", "mkdir", "modprobe", "mv", "prlimit", "rm", "rmdir"]
CHANGERS += ["rmmod", "sync", "systemctl"]
"""What changes the host, and what runs between two writes of the shell itself."""

POINTS = int(os.environ.get("STACKCTL_KILL_POINTS", "3"))
"""How many points of each run are tried; 0 tries all."""


class Killer:
    """Runs prepare.sh and kills it and all it started at the nth command that changes something."""

    def __init__(self, folder: Path) -> None:
        self.commands = folder / "commands"
        self.commands.mkdir()
        for name in CHANGERS:
            (self.commands / name).symlink_to(Path(__file__).parent / "killing" / "kill-at")
        self.count = folder / "count"

    def run(self, host: Host, word: str, at: int) -> Outcome:
        """One run; `at` 0 lets it end."""
        self.count.write_text("")
        env = {
            "TMPDIR": str(self.commands.parent),
            "KILL_AT": str(at),
            "KILL_COUNT": str(self.count),
        }
        outcome = host.run(word, before=str(self.commands), **env)
        assert (outcome.code == -signal.SIGKILL) == (at > 0), (at, outcome)
        return outcome

    def points(self, host: Host, word: str) -> list[int]:
        """Lets a run end and says at which numbers to kill the next ones."""
        self.run(host, word, 0)
        total = len(self.count.read_text())
        assert total > 50
        step = max(1, total // POINTS) if POINTS else 1
        # Killed at the first, nothing was done, not even a record begun. Another start each time
        # the number of commands changes, so that over time all are tried.
        return list(range(2 + total % step, total, step))


@pytest.fixture
def killer(tmp_path: Path) -> Killer:
    return Killer(tmp_path)


def started(tmp_path: Path) -> Host:
    """A fresh host, but for a file of our name that stood there before."""
    host = fresh_host(tmp_path, "dash")
    host.write("etc/sysctl.d/99-zz-stackctl-edge.conf", "net.core.somaxconn = 99\n", 0o640)
    return host


def copies(host: Host, tmp_path: Path) -> Iterator[Host]:
    """Restore the host to the state of now, as often as needed."""
    kept = tmp_path / "kept"
    shutil.copytree(host.root, kept, symlinks=True)
    while True:
        shutil.rmtree(host.root)
        shutil.copytree(kept, host.root, symlinks=True)
        yield host


def recovers(host: Host, start: Tree, at: int) -> None:
    """Apply ends well, and rollback then leaves nothing of it."""
    again = host.run("apply")
    assert (again.code, again.keys("short")) == (0, set()), (at, again)
    back = host.run("rollback")
    assert (back.code, back.findings, back.err) == (0, {}, ""), (at, back)
    assert host.tree() == start, at


def test_apply_killed_then_applied_again(tmp_path: Path, killer: Killer) -> None:
    host = started(tmp_path)
    start = host.tree()
    fresh = copies(host, tmp_path)
    for at in killer.points(next(fresh), "apply"):
        killer.run(next(fresh), "apply", at)
        recovers(host, start, at)


def test_apply_killed_then_rolled_back(tmp_path: Path, killer: Killer) -> None:
    host = started(tmp_path)
    start = host.tree()
    fresh = copies(host, tmp_path)
    for at in killer.points(next(fresh), "apply"):
        killer.run(next(fresh), "apply", at)
        back = host.run("rollback")
        assert (back.code, back.findings, back.err) == (0, {}, ""), (at, back)
        assert host.tree() == start, at


def test_rollback_killed_then_rolled_back(tmp_path: Path, killer: Killer) -> None:
    host = started(tmp_path)
    start = host.tree()
    assert host.run("apply").code == 0
    fresh = copies(host, tmp_path)
    for at in killer.points(next(fresh), "rollback"):
        killer.run(next(fresh), "rollback", at)
        back = host.run("rollback")
        assert (back.code, back.findings, back.err) == (0, {}, ""), (at, back)
        assert host.tree() == start, at


def test_rollback_killed_then_applied(tmp_path: Path, killer: Killer) -> None:
    host = started(tmp_path)
    start = host.tree()
    assert host.run("apply").code == 0
    fresh = copies(host, tmp_path)
    for at in killer.points(next(fresh), "rollback"):
        killer.run(next(fresh), "rollback", at)
        recovers(host, start, at)
