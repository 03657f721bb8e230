"""The engine's processes, and whether they are processes of this machine."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from stackctl.engine import Container
from stackctl.errors import PlanError, StackNotRunningError
from stackctl.observe.here import cgroups_of
from stackctl.observe.look import running_haproxy

ID = "a" * 64


def container(pid: int, target: str = "haproxy", id_: str = ID) -> Container:
    return Container(id_, f"stackctl-lab-{target}", target, pid, "running", "healthy", {}, "")


def test_haproxy_is_a_process_of_this_machine() -> None:
    cgroups = {40: f"0::/docker/{ID}\n"}
    found = running_haproxy([container(41, "telemt-1"), container(40)], cgroups, "lab")
    assert found.pid == 40


@pytest.mark.parametrize("containers", [[], [container(0)], [container(40, "telemt-1")]])
def test_a_stack_that_does_not_run_is_named(containers: list[Container]) -> None:
    with pytest.raises(StackNotRunningError):
        running_haproxy(containers, {40: ID}, "lab")


@pytest.mark.parametrize("cgroups", [{}, {40: f"0::/docker/{'b' * 64}"}, {41: ID}])
def test_a_stack_on_another_machine_is_refused(cgroups: dict[int, str]) -> None:
    """The engine may be remote: its process ids mean nothing here, or another process."""
    with pytest.raises(PlanError, match="no process of this machine"):
        running_haproxy([container(40)], cgroups, "lab")


def test_cgroups_are_read_of_processes_that_are_there() -> None:
    own = os.getpid()
    assert cgroups_of([own, 2**30]) == {own: Path("/proc/self/cgroup").read_text()}
