"""A replica dies: status, HAProxy and clients notice, and everything recovers."""

from __future__ import annotations

import json
import os
import signal

import pytest

from .client import gets_through
from .command import server_rows
from .conftest import TELEMT, MakeLab, started
from .lab import Lab, until


@pytest.fixture(scope="module")
def lab(make_shared: MakeLab) -> Lab:
    """A lab whose replicas are checked often; clients of one address stay on one."""
    limits = "{mode: fit, haproxy.check_inter: 1}"
    return started(make_shared(telemt=TELEMT, limits=limits))


def serving(lab: Lab) -> str:
    """The replica that gets this machine's clients."""
    before = server_rows(lab)
    gets_through(lab)
    after = server_rows(lab)
    used = [name for name in after if int(after[name]["stot"]) > int(before[name]["stot"])]
    assert len(used) == 1, f"one connection went to {used}"
    return used[0]


def whole(lab: Lab) -> bool:
    return lab.run("status").returncode == 0


def test_a_killed_replica_is_seen_and_its_clients_get_through_by_the_other(lab: Lab) -> None:
    lost = serving(lab)
    other = next(name for name in server_rows(lab) if name != lost)
    # A kill through the engine counts as meant: it stays down.
    lab.container(lost).kill()
    until(lambda: lab.container(lost).status == "exited", 60, f"{lost} has ended")
    # At once, before a health check fails: the refused connection goes to the other one.
    for _ in range(3):
        gets_through(lab)
    until(lambda: server_rows(lab)[lost]["status"] == "DOWN", 60, "HAProxy calls it down")
    before = int(server_rows(lab)[other]["stot"])
    gets_through(lab)
    assert int(server_rows(lab)[other]["stot"]) == before + 1

    done = lab.run("status", "--json")
    report = json.loads(done.stdout)
    assert done.returncode == report["exit"] == 1
    shown = {c["target"]: c for c in report["containers"]}
    assert shown[lost]["state"] == "exited"
    assert shown[lost]["haproxy"]["status"] == "DOWN"
    assert (shown[other]["state"], shown[other]["health"]) == ("running", "healthy")
    assert shown[other]["haproxy"]["status"] == "UP"
    table = lab.run("status")
    line = next(line for line in table.stdout.splitlines() if line.split()[:1] == [lost])
    assert table.returncode == 1
    assert "exited" in line
    assert "DOWN" in line
    assert {target.rpartition("/")[2] for _, target, _ in lab.wrong()} == {lost}

    started(lab)  # `up` is also the repair
    lab.wait_l7ok()
    assert whole(lab)
    assert lab.wrong() == []


def test_a_replica_that_crashes_comes_back_by_itself(lab: Lab) -> None:
    crashed = serving(lab)
    pid = lab.pid(crashed)
    os.kill(pid, signal.SIGKILL)
    until(lambda: lab.pid(crashed) not in {0, pid}, 60, f"the engine starts {crashed} again")
    lab.wait_healthy(crashed)
    lab.wait_l7ok()
    until(lambda: whole(lab), 60, "status is 0")
    assert lab.wrong() == []
    gets_through(lab)
    assert serving(lab) == crashed, "its clients are back on it"
