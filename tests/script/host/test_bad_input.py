"""What cannot work: a clear message, status 2, nothing changed and nothing lost."""

from __future__ import annotations

import fcntl
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from .conftest import Host, Outcome

RECORD = "var/lib/stackctl/host"
AS_ROOT = ("unshare", "--mount") if os.geteuid() == 0 else ("unshare", "--map-root-user", "--mount")


def refused(outcome: Outcome, *words: str) -> None:
    """Status 2, a message with these words, and what to do."""
    assert (outcome.code, outcome.findings) == (2, {}), outcome
    for word in (*words, "\n  do: "):
        assert word in outcome.err


def mounted(command: str) -> tuple[str, ...]:
    """Argv before the script's: it sees a mount that nobody else does."""
    return (*AS_ROOT, "sh", "-ec", f'{command}\nexec "$@"', "sh")


@pytest.fixture
def readable() -> Iterator[Path]:
    """A folder every user can read; pytest's own are private."""
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)
        yield Path(folder)


@pytest.mark.parametrize("word", ["apply", "rollback"])
def test_not_root(host: Host, readable: Path, word: str) -> None:
    nobody = ("setpriv", "--reuid=65534", "--regid=65534", "--clear-groups")
    host = Host(host.root, host.shell, readable)
    outcome = host.run(word, prefix=nobody if os.geteuid() == 0 else (), STACKCTL_HOST_ROOT="")
    refused(outcome, f"{word} changes this machine, and you are not root", "sudo sh ")


@pytest.mark.parametrize(
    ("words", "message"),
    [(["frob"], "unknown argument: frob"), (["check", "apply"], "two commands: check and apply")],
)
def test_garbage(host: Host, words: list[str], message: str) -> None:
    refused(host.run(*words), message)


def test_no_command_shows_the_usage(host: Host) -> None:
    outcome = host.run()
    assert outcome.code == 2
    assert "prepare.sh check " in outcome.err


@pytest.mark.parametrize("root", ["somewhere", "/nonexistent"])
def test_a_root_that_is_none(dash: Host, root: str) -> None:
    refused(dash.run("apply", STACKCTL_HOST_ROOT=root), "STACKCTL_HOST_ROOT", root)


def test_a_folder_that_is_not_whole(host: Host) -> None:
    start = host.tree()
    folder = host.render()
    table = folder / "limits.tsv"
    text = table.read_text()
    table.write_text(text[: len(text) // 2])
    refused(host.run("apply"), "limits.tsv is cut off")
    table.write_text(text.replace("stack\tedge", "stack\t../x"))
    refused(host.run("apply"), "it names no stack")
    table.write_text(text)
    shutil.rmtree(folder / "etc")
    refused(host.run("apply"), "etc is missing")
    assert host.tree() == start


@pytest.mark.parametrize(
    "text", ["", "before 1\n", "before 1\nset 2\n", "before 1\nset 2\nend\nx\n"]
)
def test_a_damaged_item(dash: Host, text: str) -> None:
    assert dash.run("apply").code == 0
    dash.write(f"{RECORD}/before/sysctl/net.core.somaxconn", text)
    tree = dash.tree()
    for word in ("apply", "rollback"):
        refused(dash.run(word), "net.core.somaxconn is damaged; nothing was changed")
    assert dash.tree() == tree


def test_a_missing_record(host: Host) -> None:
    assert host.run("apply").code == 0
    shutil.rmtree(host.path(f"{RECORD}/before"))
    tree = host.tree()
    for word in ("apply", "rollback"):
        refused(host.run(word), "before is gone")
    assert host.tree() == tree
    shutil.rmtree(host.path("var/lib/stackctl"))
    refused(host.run("rollback"), "this host has no record")


def test_two_at_once(host: Host) -> None:
    lock = host.write(f"{RECORD}/lock", "")
    with lock.open() as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        refused(host.run("apply"), "another prepare.sh is at work")
    assert host.run("apply").code == 0


def test_a_read_only_etc(host: Host) -> None:
    start = host.tree()
    etc = host.path("etc")
    sealed = mounted(f"mount --bind {etc} {etc}; mount -o remount,bind,ro {etc}")
    refused(host.run("apply", prefix=sealed), "Read-only file system")
    changed = {path for path, entry in host.tree().items() if start.get(path) != entry}
    assert not {path for path in changed if path.startswith("etc") or path in start}
    assert host.run("rollback").code == 0
    assert host.tree() == start


# Room for nothing; for the wishes, not for the record.
@pytest.mark.parametrize(
    ("size", "message"), [("4k", "No space left on device"), ("48k", "cannot be written")]
)
def test_a_full_disk(dash: Host, size: str, message: str) -> None:
    start = dash.tree()
    full = mounted(f"mount -t tmpfs -o size={size} none {dash.path('var/lib')}")
    refused(dash.run("apply", prefix=full), message, "make room")
    now = dash.tree()
    assert {path: now[path] for path in start} == start
    assert not any(path.startswith("etc") for path in now.keys() - start.keys())


def test_no_room_for_temporary_files(host: Host, tmp_path: Path) -> None:
    start = host.tree()
    (tmp_path / "tmp").mkdir()
    full = mounted(f"mount -t tmpfs -o size=4k none {tmp_path / 'tmp'}")
    for word in ("check", "apply"):
        refused(
            host.run(word, prefix=full, TMPDIR=str(tmp_path / "tmp")), "No space left on device"
        )
    now = host.tree()
    assert {path: now[path] for path in start} == start
