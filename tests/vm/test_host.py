"""prepare.sh on a whole host: apply, reboot, proof, sabotage, rollback, kills. The order counts.

Each test continues where the one before it left the machine. Both Debian releases are prepared,
rebooted, proven and rolled back. The rest runs on Debian 12: sabotages and kills use the same
script and kernel interfaces on both, and both compare the files that a boot after rollback reads.
"""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from .conftest import on_debian_12
from .deployment import SCRIPT, Deployment, deploy
from .image import Image, Suite
from .machine import Machine
from .sabotage import ROUNDS
from .snapshot import Snapshot, take

STATE = "/var/lib/stackctl"
FINE_WHEN_FRESH = {
    Suite.TRIXIE: {"engine.nproc", "engine.tasks", "net.ipv4.tcp_syncookies"},
    # Debian 12's docker.service and containerd.service ask for infinity.
    Suite.BOOKWORM: {"engine.nofile", "engine.nproc", "engine.tasks", "net.ipv4.tcp_syncookies"},
}
"""Limits that a fresh Debian has by itself, after each boot."""

USERS_OF_BBR = "systemctl restart ssh containerd docker"
"""These listened while bbr was the default, and their listeners keep its module in use."""


@pytest.fixture(scope="session")
def fresh(machine: Machine) -> Snapshot:
    """The machine before it gets anything of the stack."""
    return take(machine)


@pytest.fixture(scope="session")
def deployment(machine: Machine, fresh: Snapshot, scratch: Path) -> Deployment:
    """The production stack on the machine. The host is not prepared yet."""
    assert fresh.entries
    return deploy(machine, scratch)


def roll_back_wholly(deployment: Deployment) -> None:
    """Roll back. Live listeners keep one module in use; it is unloaded once they are restarted."""
    first = deployment.prepare("rollback")
    assert first.short <= {"tcp_bbr"}, first.evidence
    if first.short:
        assert "in use" in first.evidence["tcp_bbr"]
        deployment.machine.run(USERS_OF_BBR)
        deployment.machine.disconnect()
        again = deployment.prepare("rollback")
        assert again.status == 0, again.evidence
    assert deployment.machine.run(f"ls {STATE}", check=False).returncode != 0


def test_1_a_fresh_host_is_found_short_and_not_touched(
    deployment: Deployment, fresh: Snapshot, suite: Suite
) -> None:
    found = deployment.prepare("check")
    assert found.status == 1
    assert set(found.verdicts) - found.short == FINE_WHEN_FRESH[suite], found.evidence
    assert all("; -" not in found.evidence[key] for key in found.short)
    assert deployment.prepare("apply --dry-run").status == 0
    assert fresh.changes(take(deployment.machine)) == {}
    assert deployment.machine.run(f"ls {STATE}", check=False).returncode != 0


def test_2_apply_sets_everything_and_a_second_one_nothing(deployment: Deployment) -> None:
    first = deployment.prepare("apply")
    assert first.status == 0, first.evidence
    assert first.short == set()
    assert "kept" in first.verdicts.values()
    second = deployment.prepare("apply", shell="busybox sh")
    assert (second.status, second.changes) == (0, ())
    assert second.notes == ("nothing to change",)
    # Even before a reboot the running daemon can give a container the guide's number.
    row = deployment.machine.run("grep 'Max open files' /proc/$(pidof -s dockerd)/limits").stdout
    assert int(row.split()[4]) >= 1048576


def test_3_it_holds_after_a_reboot_and_the_stack_is_up_by_itself(
    deployment: Deployment, vm_image: Image
) -> None:
    cached, boot = vm_image.disk.stat().st_mtime_ns, deployment.machine.boot_id
    deployment.machine.reboot()
    assert deployment.machine.boot_id != boot
    assert vm_image.disk.stat().st_mtime_ns == cached
    assert deployment.machine.failed_units == (), deployment.journal()
    found = deployment.prepare("check")
    assert found.status == 0, {key: found.evidence[key] for key in found.short}
    assert set(found.verdicts.values()) == {"ok"}
    state = "systemctl is-active stackctl-production.service"
    assert deployment.machine.run(state).stdout.strip() == "active"


@on_debian_12
def test_3_stackctl_says_the_same_over_ssh(
    deployment: Deployment, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # An operator's ssh finds the server in its own configuration. Here a wrapper takes its place.
    argv = deployment.machine.shell.argv("")[1:-2]
    quoted = " ".join(f"'{word}'" for word in argv)
    wrapper = tmp_path / "ssh"
    # Instead of: ssh -o ConnectTimeout=N DESTINATION COMMAND.
    wrapper.write_text(f'#!/bin/sh\nexec /usr/bin/ssh {quoted} 127.0.0.1 "$4"\n')
    wrapper.chmod(0o755)
    path = f"{tmp_path}:{os.environ['PATH']}"
    done = deployment.stackctl("host", "check", "--json", "--ssh", "root@production", PATH=path)
    assert done.returncode == 0, done.stderr + done.stdout
    report = json.loads(done.stdout)
    assert report["host"] == "root@production"
    assert report["summary"]["ok"] == len(report["findings"]) > 20


def test_4_the_production_stack_is_proven_with_no_row_left_out(
    deployment: Deployment, suite: Suite
) -> None:
    deployment.up()
    picture = os.environ.get("STACKCTL_VM_REPORTS")
    extra = ["--svg", f"{picture}/production-{suite}.svg"] if picture else []
    found = deployment.verify("--strict", *extra)
    bad = [f for f in found["findings"] if f["verdict"] != "ok"]
    assert bad == []
    assert found["exit"] == 0
    assert found["summary"]["ok"] == len(found["findings"])
    assert (found["mode"], found["network"], found["connections"]) == ("strict", "host", 250000)
    nofile = {f["target"]: f["got"] for f in found["findings"] if f["limit"] == "nofile"}
    assert nofile == {name: [1048576, 1048576] for name in ("haproxy", "telemt-1", "telemt-2")}
    assert {f["limit"] for f in found["findings"] if f["target"] == "host"} >= {
        "fs.nr_open",
        "net.core.somaxconn",
        "net.core.default_qdisc",
        "net.netfilter.nf_conntrack_max",
    }


@on_debian_12
@pytest.mark.parametrize("depth", ROUNDS)
def test_5_each_host_limit_that_is_broken_is_found(deployment: Deployment, depth: str) -> None:
    """A check takes seconds, so all of one depth are broken at once; exactly these are found."""
    sabotages = ROUNDS[depth](deployment)
    limits = [sabotage.limit for sabotage in sabotages]
    assert len(set(limits)) == len(limits)
    for sabotage in sabotages:
        deployment.machine.run(sabotage.breaks)
    found = deployment.prepare("check")
    for sabotage in reversed(sabotages):
        deployment.machine.run(sabotage.mends)
    assert found.status == 1
    assert found.short == set(limits), found.evidence
    for sabotage in sabotages:
        assert sabotage.word in found.evidence[sabotage.limit], (sabotage, found.evidence)
    mended = deployment.prepare("check")
    assert mended.status == 0, {key: mended.evidence[key] for key in mended.short}


def test_6_rollback_leaves_the_host_as_it_was(deployment: Deployment, fresh: Snapshot) -> None:
    deployment.machine.run("systemctl stop stackctl-production.service")
    deployment.down()
    roll_back_wholly(deployment)
    assert fresh.changes(take(deployment.machine), booted=True) == {}


KILLED_WHEN = {
    "its wishes are being copied": f"[ -d {STATE}/host/stacks ]",
    "the record is being written": f"[ -d {STATE}/host/before/sysctl ]",
    "files are being put in place": "[ -e /etc/sysctl.d/99-zz-stackctl-production.conf ]",
    "values are being set": "[ $(cat /proc/sys/net/core/somaxconn) = 65535 ]",
}

RUN_AND_KILL = """
setsid sh {script} {command} >/root/killed.log 2>&1 &
pid=$!
until {condition}; do
    kill -0 $pid || {{ echo "it ended before it was killed" >&2; exit 1; }}
done
kill -9 -- -$pid
"""


@on_debian_12
@pytest.mark.parametrize("moment", KILLED_WHEN)
def test_7_apply_that_was_killed_is_taken_up(
    deployment: Deployment, fresh: Snapshot, moment: str
) -> None:
    script = RUN_AND_KILL.format(script=SCRIPT, command="apply", condition=KILLED_WHEN[moment])
    deployment.machine.run(script)
    if moment == "values are being set":
        again = deployment.prepare("apply")
        assert (again.status, again.short) == (0, set()), again.evidence
    roll_back_wholly(deployment)
    assert fresh.changes(take(deployment.machine), booted=True) == {}


@on_debian_12
def test_7_rollback_that_was_killed_is_taken_up(deployment: Deployment, fresh: Snapshot) -> None:
    assert deployment.prepare("apply").status == 0
    half = "[ $(cat /proc/sys/net/core/somaxconn) != 65535 ]"
    deployment.machine.run(RUN_AND_KILL.format(script=SCRIPT, command="rollback", condition=half))
    roll_back_wholly(deployment)
    assert fresh.changes(take(deployment.machine), booted=True) == {}


@on_debian_12
def test_8_and_after_a_reboot_it_still_is(deployment: Deployment, fresh: Snapshot) -> None:
    deployment.machine.reboot()
    assert fresh.changes(take(deployment.machine), booted=True) == {}
