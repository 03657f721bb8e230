"""Ctrl-C during `up`: the message names what is left, `down` removes it, and `up` continues."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from .command import Command, running
from .conftest import MakeLab, leftovers, started
from .lab import Lab, until


def before_anything_starts(command: Command, _lab: Lab) -> None:
    command.said("reading what this host can give")


def while_containers_are_made(command: Command, lab: Lab) -> None:
    command.said(r"starting \d+ containers")
    until(lambda: len(leftovers(lab.name)) > 1, 60, "something of the stack")


def while_health_is_awaited(command: Command, lab: Lab) -> None:
    command.said(r"starting \d+ containers")
    until(lambda: lab.container("telemt-1").status == "running", 60, "a running replica")


def while_it_is_proven(command: Command, _lab: Lab) -> None:
    command.said("\nverifying\n")


@pytest.mark.parametrize(
    "moment",
    [
        before_anything_starts,
        while_containers_are_made,
        while_health_is_awaited,
        while_it_is_proven,
    ],
)
def test_ctrl_c_says_what_is_left_and_down_removes_it(
    make_lab: MakeLab, moment: Callable[[Command, Lab], None]
) -> None:
    lab = make_lab(network="host")
    with running("up", cwd=lab.folder) as command:
        moment(command, lab)
        command.ctrl_c()
        assert command.wait() == 130
        assert "Traceback" not in command.stderr
        assert command.stdout == ""
        said = command.stderr.splitlines()[-1]
    assert said.startswith("interrupted: ")
    assert lab.name in said
    assert "`stackctl down -f stack.yaml`" in said
    done = lab.run("down", "--volumes")
    assert done.returncode == 0, done.stderr
    assert leftovers(lab.name) == []


def test_up_goes_on_where_it_was_interrupted(make_lab: MakeLab) -> None:
    lab = make_lab(network="host")
    with running("up", cwd=lab.folder) as command:
        while_health_is_awaited(command, lab)
        command.ctrl_c()
        assert command.wait() == 130
    started(lab)
    assert lab.run("status").returncode == 0
