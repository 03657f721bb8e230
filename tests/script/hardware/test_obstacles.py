"""What a machine cannot give is short, with the reason and the way out; the rest is done."""

from __future__ import annotations

import shutil

import pytest

from .conftest import QUEUE_INTERRUPTS, Machine

# One shell is enough here: both run the same paths of the script elsewhere.
pytestmark = pytest.mark.parametrize("machine", ["busybox sh"], indirect=True)


def test_no_cpufreq(machine: Machine) -> None:
    row = machine.run("apply", {"governor": "performance"}).finding("host.governor")
    assert row[:3] == ["short", "performance", "-"]
    assert "no cpufreq on this machine" in row[4]
    assert "host.governor" in row[5]


def test_a_governor_the_kernel_does_not_list(machine: Machine) -> None:
    machine.with_cpufreq()
    row = machine.run("apply", {"governor": "schedutil"}).finding("host.governor")
    assert row[0] == "short"
    assert "it lists: performance powersave" in row[4]
    assert machine.governors() == {"powersave"}


def test_one_transmit_queue(machine: Machine) -> None:
    shutil.rmtree(machine.root / "sys/class/net/nic0/queues/tx-1")
    row = machine.run("apply", {"xps": "spread"}).finding("host.xps")
    assert row[0] == "short"
    assert "one transmit queue only" in row[4]


def test_irqbalance_is_left_at_its_work(machine: Machine) -> None:
    machine.write("proc/700/comm", "irqbalance\n")
    row = machine.run("apply", {"irq": "spread"}).finding("host.irq")
    assert row[0] == "short"
    assert "irqbalance runs" in row[4]
    assert set(machine.affinity().values()) == {"0-3"}


def test_irqbalance_that_came_later_does_not_lose_the_record(machine: Machine) -> None:
    machine.run("apply", {"irq": "spread"})
    machine.write("proc/700/comm", "irqbalance\n")
    machine.run("apply", {"irq": "spread"})
    assert machine.affinity() == {41: "0", 42: "0", 43: "1", 44: "1"}
    assert machine.run("rollback", {"irq": "spread"}).status == 0
    assert set(machine.affinity().values()) == {"0-3"}


def test_no_ring_sizes_to_be_had(machine: Machine) -> None:
    (machine.bin / "ethtool").unlink()
    row = machine.run("apply", {"rings": "max"}).finding("host.rings")
    assert row[0] == "short"
    # nic0 is no card of the machine the tests run on, whose own ethtool may be found.
    expected = "shows no ring sizes" if shutil.which("ethtool") else "ethtool is not installed"
    assert expected in row[4]


def test_no_default_route(machine: Machine) -> None:
    machine.write("proc/net/route", machine.read("proc/net/route").splitlines()[0] + "\n")
    row = machine.run("apply", {"rps": "spread"}).finding("host.rps")
    assert row[0] == "short"
    assert "no card carries a default route" in row[4]


def test_a_card_without_interrupts(machine: Machine) -> None:
    shutil.rmtree(machine.root / "sys/devices/pci/msi_irqs")
    row = machine.run("apply", {"irq": "spread"}).finding("host.irq")
    assert row[0] == "short"
    assert "nic0 has no interrupts of its own" in row[4]


def test_an_interrupt_that_the_kernel_refuses_to_move(machine: Machine) -> None:
    machine.write("proc/irq/43/smp_affinity_list", "0-3\n")
    (machine.root / "proc/irq/43/smp_affinity_list").unlink()
    (machine.root / "proc/irq/43/smp_affinity_list").mkdir()
    row = machine.run("apply", {"irq": "spread"}).finding("host.irq")
    assert row[0] == "short"
    assert "3 of 4 are as asked" in row[4]
    assert f"{QUEUE_INTERRUPTS[43]} " in row[4]


def test_check_says_what_apply_would_do(machine: Machine) -> None:
    before = machine.snapshot()
    row = machine.run("check", {"rps": "spread"}).finding("host.rps")
    assert row[:3] == ["short", "spread", "0"]
    assert "0 of 2 are as asked on nic0" in row[4]
    assert row[5].endswith("prepare.sh apply")
    assert machine.snapshot() == before
