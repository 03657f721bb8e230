"""What is asked survives a boot: the files that set it again, and what check says without them."""

from __future__ import annotations

import subprocess

import pytest

from .conftest import Machine

RULES = "etc/udev/rules.d/99-zz-stackctl-edge.rules"
UNIT = "etc/systemd/system/stackctl-edge.hardware.service"
EVENT = 'ACTION=="add|move", SUBSYSTEM=="net", KERNEL=="nic0", '


def lines(machine: Machine, path: str) -> list[str]:
    return [line for line in machine.read(path).splitlines() if not line.startswith("#")]


def test_udev_sets_what_a_card_has_from_its_first_moment(machine: Machine) -> None:
    machine.run("apply", {"rps": "spread", "rings": "max"})
    assert lines(machine, RULES) == [
        f'{EVENT}RUN+="{machine.bin}/ethtool -G nic0 rx 4096 tx 2048"',
        f'{EVENT}ATTR{{queues/rx-0/rps_cpus}}="f"',
        f'{EVENT}ATTR{{queues/rx-1/rps_cpus}}="f"',
    ]


def test_a_unit_sets_the_rest_once_the_network_is_up(machine: Machine) -> None:
    machine.with_cpufreq()
    machine.run("apply", {"governor": "performance", "irq": "spread", "xps": "spread"})
    text = machine.read(UNIT)
    assert "After=network-online.target" in text
    assert "Before=stackctl-edge.service" in text
    wants = machine.read("etc/systemd/system/multi-user.target.d/99-zz-stackctl-edge.conf")
    assert "Wants=stackctl-edge.hardware.service" in wants
    # What it does, done: as systemd reads its lines, and on this root.
    machine.write("proc/irq/43/smp_affinity_list", "0-3\n")
    machine.write("sys/class/net/nic0/queues/tx-1/xps_cpus", "00000000\n")
    machine.write("sys/devices/system/cpu/cpufreq/policy2/scaling_governor", "powersave\n")
    starts = [line for line in lines(machine, UNIT) if line.startswith("ExecStart=")]
    for line in starts:
        shell = line.removeprefix("ExecStart=-/bin/sh -c '").removesuffix("'")
        shell = shell.replace("$$", "$").replace("%%", "%")
        for folder in ("/proc/irq", "/sys/"):
            shell = shell.replace(folder, f"{machine.root}{folder}")
        subprocess.run([*machine.shell, "-c", shell], check=True)
    assert machine.affinity()[43] == "1"
    assert machine.queue("tx-1/xps_cpus") == "a\n"
    assert machine.governors() == {"performance"}
    assert len(starts) == 2 + 4 + 2


@pytest.mark.parametrize(("lost", "topic"), [(RULES, "rings"), (RULES, "rps"), (UNIT, "irq")])
def test_check_names_what_the_next_boot_would_lose(machine: Machine, lost: str, topic: str) -> None:
    asks = {"rps": "spread", "rings": "max", "irq": "spread"}
    machine.run("apply", asks)
    assert machine.run("check", asks).finding(f"host.{topic}")[0] == "ok"
    (machine.root / lost).unlink()
    row = machine.run("check", asks).finding(f"host.{topic}")
    assert (row[0], row[3]) == ("short", "declared")
    assert f"/{lost} does not set it at boot" in row[4]
    assert row[5].endswith("prepare.sh apply")


def test_check_names_a_line_that_another_machine_width_made_wrong(machine: Machine) -> None:
    machine.run("apply", {"rps": "spread"})
    machine.write(RULES, machine.read(RULES).replace('"f"', '"3"'))
    assert machine.run("check", {"rps": "spread"}).finding("host.rps")[:1] == ["short"]


def test_without_systemd_nothing_runs_the_unit(machine: Machine) -> None:
    (machine.root / "run/systemd/system").rmdir()
    done = machine.run("apply", {"irq": "spread", "rps": "spread"})
    assert done.finding("host.rps")[0] == "ok"
    row = done.finding("host.irq")
    assert row[0] == "short"
    assert "no systemd on this host" in row[4]
