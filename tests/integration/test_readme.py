"""The commands of README that need an engine, typed in a copy of the checkout after `make up`."""

from __future__ import annotations

import re
import secrets
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from readme import WITH_AN_ENGINE, checkout

from .command import environment
from .conftest import free_port, leftovers

NOT_HERE = {"make up", "make down", "make test"}
"""The first two are the fixture's; the third runs these tests."""


def shell(command: str, folder: Path) -> subprocess.CompletedProcess[str]:
    """A line as a reader's shell runs it."""
    return subprocess.run(
        ["sh", "-c", command],
        cwd=folder,
        env=environment(),
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
        stdin=subprocess.DEVNULL,
    )


@pytest.fixture(scope="module")
def up(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Path, str]]:
    """A checkout in which `make up` has run, and what that said."""
    folder = checkout(tmp_path_factory.mktemp("checkout"))
    names = {}
    for file in ("lab", "demo"):
        # Other names and ports: a developer's own lab may run on this engine.
        names[file] = f"{file}-{secrets.token_hex(3)}"
        path = folder / f"stack/{file}.yaml"
        text = re.sub(r"(?m)^name: .*", f"name: {names[file]}", path.read_text())
        path.write_text(re.sub(r"(?m)^listen: .*", f"listen: {free_port()}", text))
    try:
        done = shell("make up", folder)
        assert done.returncode == 0, done.stdout + done.stderr
        yield folder, done.stdout
    finally:
        # The engine stays, because the other tests use it.
        down = shell("make down ENGINE=true", folder)
    assert down.returncode == 0, down.stdout + down.stderr
    assert leftovers(names["lab"]) == []


@pytest.mark.parametrize("command", [c for c in WITH_AN_ENGINE if c not in NOT_HERE])
def test_a_command_of_readme_works_after_make_up(up: tuple[Path, str], command: str) -> None:
    """Other stacks of these tests may run: the one meant is then named, as the message says."""
    folder, _ = up
    done = shell(command, folder)
    if done.returncode == 2:
        assert "--file stack/lab.yaml   (lab-" in done.stderr, done.stderr
        done = shell(f"{command} --file stack/lab.yaml", folder)
    else:
        assert "stackctl: using stack/lab.yaml: stack lab-" in done.stderr
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_commands_that_make_up_ends_with_work(up: tuple[Path, str]) -> None:
    folder, said = up
    shown = re.findall(r"^  (\.venv/bin/stackctl .*?) +#", said, re.MULTILINE)
    assert len(shown) == 3, said
    for command in shown:
        done = shell(command, folder)
        assert done.returncode == 0, f"{command}\n{done.stdout}{done.stderr}"
        assert done.stdout.strip()
