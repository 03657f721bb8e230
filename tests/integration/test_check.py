"""`check`: a copy beside the stack, proven, and nothing of it left whatever happens."""

from __future__ import annotations

import json
import re
import secrets
import signal
from collections.abc import Callable, Iterator
from pathlib import Path

import docker
import pytest

from .command import Command, environment, rewrite, running
from .conftest import HAPROXY_IMAGE, MakeLab, leftovers, started
from .lab import Lab, until

COPY = r"starting the copy (check-\w+) on port (\d+)\n"


@pytest.fixture
def scratch(tmp_path: Path) -> Iterator[Path]:
    """Where the command puts what is temporary; empty again afterwards."""
    folder = tmp_path / "scratch"
    folder.mkdir()
    yield folder
    assert list(folder.iterdir()) == []


def containers_of(name: str) -> list[str]:
    return [what for what in leftovers(name) if what.startswith("container")]


def identities(lab: Lab) -> list[tuple[str, str]]:
    targets = ("haproxy", "telemt-1", "telemt-2")
    found = [lab.container(target) for target in targets]
    return [(c.id or "", c.attrs["State"]["StartedAt"]) for c in found]


def test_the_copy_is_proven_beside_a_running_stack_and_leaves_nothing(
    make_lab: MakeLab, scratch: Path
) -> None:
    lab = started(make_lab())
    before = identities(lab)
    files = sorted(lab.folder.rglob("*"))
    with running("check", "--json", cwd=lab.folder, env=environment(TMPDIR=scratch)) as command:
        name, port = command.said(COPY).groups()
        assert int(port) != lab.port
        command.said("verifying the copy")
        assert len(containers_of(name)) >= 3
        status = command.wait()
        report = json.loads(command.stdout)
    wrong = [f for f in report["findings"] if f["verdict"] not in {"ok", "fitted", "skipped"}]
    assert (report["stack"], wrong, status, report["exit"]) == (name, [], 0, 0)
    assert leftovers(name) == []
    assert identities(lab) == before
    assert sorted(lab.folder.rglob("*")) == files
    assert lab.run("status").returncode == 0


def interrupted_while_reading_the_host(command: Command) -> str:
    # The copy's collector is the first container that shows its name.
    client = docker.from_env()
    before = {c.id for c in client.containers.list(all=True)}
    found: list[str] = []

    def appeared() -> bool:
        for container in client.containers.list(all=True, filters={"label": "io.stackctl.stack"}):
            name = container.labels["io.stackctl.stack"]
            if container.id not in before and name.startswith("check-"):
                found.append(name)
        return bool(found)

    until(appeared, 60, "the copy's collector")
    command.terminate()
    return found[0]


def interrupted_while_starting(command: Command) -> str:
    name = command.said(COPY).group(1)
    until(lambda: bool(containers_of(name)), 60, "a container of the copy")
    command.ctrl_c()
    return name


def terminated_while_starting(command: Command) -> str:
    name = command.said(COPY).group(1)
    until(lambda: bool(containers_of(name)), 60, "a container of the copy")
    command.terminate()
    return name


def terminated_while_verifying(command: Command) -> str:
    name = command.said(COPY).group(1)
    command.said("verifying the copy")
    command.terminate()
    return name


@pytest.mark.parametrize(
    "interrupt",
    [
        interrupted_while_reading_the_host,
        interrupted_while_starting,
        terminated_while_starting,
        terminated_while_verifying,
    ],
)
def test_an_interrupted_check_leaves_nothing(
    make_lab: MakeLab, scratch: Path, interrupt: Callable[[Command], str]
) -> None:
    lab = make_lab(network="host", replicas=1)
    with running("check", cwd=lab.folder, env=environment(TMPDIR=scratch)) as command:
        name = interrupt(command)
        assert command.wait() == 130
        assert "Traceback" not in command.stderr
    assert leftovers(name) == []


def test_a_second_ctrl_c_does_not_stop_the_removal(make_lab: MakeLab, scratch: Path) -> None:
    lab = make_lab(network="host")
    with running("check", cwd=lab.folder, env=environment(TMPDIR=scratch)) as command:
        name = interrupted_while_starting(command)
        command.said("removing the copy")
        command.ctrl_c()
        assert command.wait() == 130
    assert leftovers(name) == []


@pytest.fixture
def broken_telemt(images: None) -> Iterator[str]:
    """The version of a Telemt image that cannot start: it has no Telemt."""
    client = docker.from_env()
    version = f"broken-{secrets.token_hex(4)}"
    assert client.images.get(HAPROXY_IMAGE).tag("ghcr.io/telemt/telemt", version)
    yield version
    client.images.remove(f"ghcr.io/telemt/telemt:{version}")


def test_a_copy_that_cannot_start_is_an_error_and_leaves_nothing(
    make_lab: MakeLab, scratch: Path, broken_telemt: str
) -> None:
    lab = make_lab(telemt=f"{{source: official, version: {broken_telemt}}}")
    with running("check", "--json", cwd=lab.folder, env=environment(TMPDIR=scratch)) as command:
        name = command.said(COPY).group(1)
        assert command.wait(120) == 3
        assert command.stdout == ""
        assert "error: the copy did not start:" in command.stderr
        assert f"{name}-telemt-" in command.stderr
        assert re.search(r"\n  do: .+", command.stderr)
    assert leftovers(name) == []


def test_what_is_wrong_in_the_file_stops_before_anything_starts(
    make_lab: MakeLab, scratch: Path
) -> None:
    lab = make_lab()
    rewrite(lab, connections=0)
    with running("check", cwd=lab.folder, env=environment(TMPDIR=scratch)) as command:
        assert command.wait() == 2
        assert command.stderr.startswith("error: connections: 0 ")
        assert "copy" not in command.stderr
    rewrite(lab, connections=2000)


def test_hanging_up_the_terminal_is_an_interrupt_too(make_lab: MakeLab, scratch: Path) -> None:
    lab = make_lab(network="host", replicas=1)
    with running("check", cwd=lab.folder, env=environment(TMPDIR=scratch)) as command:
        name = command.said(COPY).group(1)
        command.signal(signal.SIGHUP)
        assert command.wait() == 130
    assert leftovers(name) == []
