"""The figures of cards and processors, and the advice that follows from them."""

from __future__ import annotations

import shutil

from .conftest import QUEUE_INTERRUPTS, Machine

ASKS = {"rps": "off"}
"""What has hardware.sh rendered and leaves this machine as it is."""


def balanced(machine: Machine) -> None:
    """A machine without need for advice: two CPUs for two queues, each with its own."""
    machine.write("sys/devices/system/cpu/online", "0-1\n")
    for number in QUEUE_INTERRUPTS:
        machine.write(f"proc/irq/{number}/effective_affinity_list", f"{number % 2}\n")


def test_a_machine_without_fault_gets_one_line(machine: Machine) -> None:
    balanced(machine)
    advice = machine.run("check", ASKS).advice()
    assert list(advice) == ["all"]
    assert advice["all"].startswith("nothing to advise for nic0 and 2 CPUs; nic0 queues: 2 receive")
    assert "0 dropped" in advice["all"]


def test_apply_advises_as_check_does(machine: Machine) -> None:
    assert machine.run("apply", ASKS).advice() == machine.run("check", ASKS).advice() != {}


def test_figures_of_the_card(machine: Machine) -> None:
    advice = machine.run("check", ASKS).advice()
    assert advice["nic0"] == "driver virtio_net, 10000 Mb/s"
    assert advice["nic0 queues"].startswith("2 receive and 2 transmit for 4 CPUs, at most 2. ")
    assert "RPS CPUs 0, RFS 0 flows and 0 a queue, XPS CPUs 0" in advice["nic0 steering"]
    assert advice["nic0 rings"] == (
        "receive 256 of 4096, transmit 256 of 2048 descriptors, 0 packets missed"
    )
    assert "4 of its queues on CPU 0, CPU 0 took 100 % of 1000" in advice["nic0 interrupts"]
    assert "irqbalance does not run, NUMA node not told of 1" in advice["nic0 interrupts"]
    assert advice["governor"] == "no cpufreq on this machine"
    assert advice["softnet"].startswith("1024 packets, 0 dropped, 0 rounds out of budget")


def test_fewer_queues_than_cpus(machine: Machine) -> None:
    shutil.rmtree(machine.root / "sys/class/net/nic0/queues/rx-1")
    text = machine.run("check", ASKS).advice()["nic0 queues"]
    assert "4 CPUs but 1 receive queue: one CPU takes every packet" in text
    # This card's `ethtool -l` has a second one.
    assert "`ethtool -L nic0 combined 2`" in text
    assert "`host: {rps: spread}`" in text
    machine.run("apply", {"rps": "spread"})
    assert "host:" not in machine.run("check", {"rps": "spread"}).advice()["nic0 queues"]


def test_interrupts_on_one_cpu(machine: Machine) -> None:
    advised = "4 interrupts all go to CPU 0 of 4; `host: {irq: spread}`"
    assert advised in machine.run("check", ASKS).advice()["nic0 interrupts"]
    machine.write("proc/700/comm", "irqbalance\n")
    text = machine.run("check", ASKS).advice()["nic0 interrupts"]
    assert "irqbalance runs" in text
    assert "host:" not in text


def test_interrupts_far_from_the_card(machine: Machine) -> None:
    machine.write("sys/devices/pci/numa_node", "1\n")
    machine.write("sys/devices/system/node/node0/cpulist", "0-1\n")
    machine.write("sys/devices/system/node/node1/cpulist", "2-3\n")
    machine.write("proc/irq/41/effective_affinity_list", "2\n")
    text = machine.run("check", ASKS).advice()["nic0 interrupts"]
    assert "NUMA node 1 with CPUs 2,3 of 2" in text
    assert "CPU 0 not on the card's node 1" in text


def test_missed_packets_call_for_larger_rings(machine: Machine) -> None:
    machine.write("sys/class/net/nic0/statistics/rx_missed_errors", "73\n")
    text = machine.run("check", ASKS).advice()["nic0 rings"]
    assert "73 packets were missed with a ring of 256 descriptors, and the card has 4096" in text
    machine.run("apply", {"rings": "max"})
    assert "host:" not in machine.run("check", {"rings": "max"}).advice()["nic0 rings"]


def test_rps_without_flows(machine: Machine) -> None:
    machine.run("apply", {"rps": "spread"})
    text = machine.run("check", {"rps": "spread"}).advice()["nic0 steering"]
    assert "RPS CPUs f" in text
    assert "`host: {rfs: 32768}`" in text
    machine.run("apply", {"rps": "spread", "rfs": 32768})
    text = machine.run("check", {"rps": "spread", "rfs": 32768}).advice()["nic0 steering"]
    assert text.startswith("RPS CPUs f, RFS 32768 flows and 16384 a queue")
    assert "host:" not in text


def test_slow_governors_are_counted(machine: Machine) -> None:
    machine.with_cpufreq()
    text = machine.run("check", ASKS).advice()["governor"]
    assert text.startswith("4 CPUs on powersave. 4 of 4 CPUs on powersave wait")
    for cpu in range(4):
        machine.write(f"sys/devices/system/cpu/cpu{cpu}/cpufreq/scaling_driver", "intel_pstate\n")
    assert machine.run("check", ASKS).advice()["governor"] == "4 CPUs on powersave"


def test_softnet_is_summed_over_cpus(machine: Machine) -> None:
    # Packets, dropped, time_squeeze in hexadecimal, and the CPU in column 13.
    rows = [(0x000F4240, 0x10, 0x0, 3), (0x00000FFF, 0x1, 0x2, 1)]
    text = "".join(
        f"{a:08x} {b:08x} {c:08x} " + "00000000 " * 9 + f"{d:08x}\n" for a, b, c, d in rows
    )
    machine.write("proc/net/softnet_stat", text)
    said = machine.run("check", ASKS).advice()["softnet"]
    assert said.startswith("1004095 packets, 17 dropped, 2 rounds out of budget")
    assert "17 packets found the backlog of their CPU full" in said
    assert "CPU 3 of 4 took 100 % of the packets; `host: {rps: spread}`" in said


def test_a_host_without_a_card_is_no_fault(machine: Machine) -> None:
    (machine.root / "proc/net/route").unlink()
    shutil.rmtree(machine.root / "sys/class/net")
    advice = machine.run("check", ASKS).advice()
    assert advice["all"].startswith("nothing to advise for no card with a default route, 4 CPUs")


def test_a_stack_that_asks_for_nothing_has_no_second_script_and_no_advice(machine: Machine) -> None:
    assert machine.run("check", {}).advice() == {}
    assert not (machine.folder / "render/edge/host/hardware.sh").exists()
    machine.run("check", ASKS)
    assert (machine.folder / "render/edge/host/hardware.sh").exists()
