"""What `host:` of stack.yaml asks for: set, read back, set once only, kept at boot, put back."""

from __future__ import annotations

from typing import Any

import pytest

from .conftest import Machine

EVERYTHING: dict[str, Any] = {
    "governor": "performance",
    "rps": "spread",
    "rfs": 32768,
    "xps": "spread",
    "rings": "max",
    "irq": "spread",
}
RULES = "etc/udev/rules.d/99-zz-stackctl-edge.rules"
UNIT = "etc/systemd/system/stackctl-edge.hardware.service"
FLOWS = "net.core.rps_sock_flow_entries"


def test_nothing_is_touched_where_nothing_is_asked(machine: Machine) -> None:
    machine.with_cpufreq()
    before = machine.snapshot()
    done = machine.run("apply", {}, whole=True)
    assert done.of("end")
    assert all(text.startswith("write /etc/") for text in done.changes())
    after = machine.snapshot()
    touched = {path for path in before | after if before.get(path) != after.get(path)}
    assert not {path for path in touched if not path.startswith(("etc", "var"))}
    assert not {path for path in touched if "udev" in path or "hardware" in path}
    assert not [row for row in done.of("finding") if row[1].startswith("host.")]


def test_apply_sets_all_that_is_asked_and_the_second_changes_nothing(machine: Machine) -> None:
    machine.with_cpufreq()
    done = machine.run("apply", EVERYTHING, whole=True)
    for topic, wanted in EVERYTHING.items():
        row = done.finding(f"host.{topic}")
        assert row[:4] == ["ok", str(wanted), str(wanted), "applied"], row
        assert row[4].endswith("at boot too"), row
    assert machine.governors() == {"performance"}
    assert [machine.queue(f"rx-{n}/rps_cpus") for n in (0, 1)] == ["0000000f\n"] * 2
    assert [machine.queue(f"rx-{n}/rps_flow_cnt") for n in (0, 1)] == ["16384\n"] * 2
    assert [machine.queue(f"tx-{n}/xps_cpus") for n in (0, 1)] == ["00000005\n", "0000000a\n"]
    assert machine.read("proc/sys/net/core/rps_sock_flow_entries") == "32768\n"
    assert machine.rings() == "4096 2048"
    # Both ways of a queue meet on one CPU; what is no queue's interrupt stays.
    assert machine.affinity() == {41: "0", 42: "0", 43: "1", 44: "1"}
    assert machine.read("proc/irq/40/smp_affinity_list") == "0-3\n"
    settled = machine.snapshot()
    again = machine.run("apply", EVERYTHING, whole=True)
    assert again.changes() == []
    assert ["nothing to change"] in again.of("note")
    assert machine.snapshot() == settled
    # One call for both rings, so that the card stops once.
    assert (machine.bin / "rings-set").read_text() == "set\n"


def test_rollback_leaves_the_machine_byte_for_byte_as_it_was(machine: Machine) -> None:
    machine.with_cpufreq()
    before = machine.snapshot()
    machine.run("apply", EVERYTHING)
    assert machine.snapshot() != before
    done = machine.run("rollback", EVERYTHING)
    assert (done.status, done.of("finding")) == (0, [])
    assert machine.snapshot() == before


def test_dry_run_names_the_changes_and_makes_none(machine: Machine) -> None:
    before = machine.snapshot()
    done = machine.run("apply", EVERYTHING, "--dry-run")
    assert "set sysfs class/net/nic0/queues/rx-1/rps_cpus: 0 -> f" in done.changes()
    assert "set ring nic0: 256 256 -> 4096 2048" in done.changes()
    assert f"write /{RULES}" in done.changes()
    assert machine.snapshot() == before


def test_what_somebody_changed_since_is_left_and_named(machine: Machine) -> None:
    machine.run("apply", {"rps": "spread", "irq": "spread"})
    machine.write("sys/class/net/nic0/queues/rx-1/rps_cpus", "00000003\n")
    machine.write("proc/irq/43/smp_affinity_list", "2\n")
    done = machine.run("rollback", {"rps": "spread", "irq": "spread"})
    assert done.status == 1
    assert {row[1] for row in done.of("finding")} == {
        "class/net/nic0/queues/rx-1/rps_cpus",
        "virtio2-input.1",
    }
    assert machine.queue("rx-0/rps_cpus") == "00000000\n"
    assert machine.queue("rx-1/rps_cpus") == "00000003\n"
    assert machine.affinity() == {41: "0-3", 42: "0-3", 43: "2", 44: "0-3"}


def test_interrupts_are_put_back_by_name_after_a_boot_has_renumbered_them(machine: Machine) -> None:
    machine.run("apply", {"irq": "spread"})
    (machine.root / "proc/irq/44").rename(machine.root / "proc/irq/60")
    machine.run("rollback", {"irq": "spread"})
    assert machine.read("proc/irq/60/smp_affinity_list") == "0-3\n"


@pytest.mark.parametrize(
    ("width", "zeros"), [(40, "000000ff,ffffffff"), (64, "ffffffff,ffffffff"), (1, "00000001")]
)
def test_a_mask_is_as_wide_as_the_machine(machine: Machine, width: int, zeros: str) -> None:
    machine.write("sys/devices/system/cpu/online", f"0-{width - 1}\n" if width > 1 else "0\n")
    for queue in (0, 1):
        at = f"sys/class/net/nic0/queues/rx-{queue}/rps_cpus"
        machine.write(at, ",".join(["0" * 8] * len(zeros.split(","))) + "\n")
    assert machine.run("apply", {"rps": "spread"}).finding("host.rps")[0] == "ok"
    assert machine.queue("rx-0/rps_cpus") == zeros + "\n"
    assert machine.run("apply", {"rps": "spread"}).changes() == []


def test_cpus_kept_apart_from_the_scheduler_get_no_work(machine: Machine) -> None:
    machine.write("sys/devices/system/cpu/isolated", "2-3\n")
    machine.run("apply", {"rps": "spread", "irq": "spread"})
    assert machine.queue("rx-0/rps_cpus") == "00000003\n"
    assert set(machine.affinity().values()) == {"0", "1"}


def test_interrupts_stay_on_the_cards_own_node(machine: Machine) -> None:
    machine.write("sys/devices/pci/numa_node", "1\n")
    machine.write("sys/devices/system/node/node1/cpulist", "2-3\n")
    machine.run("apply", {"irq": "spread"})
    assert machine.affinity() == {41: "2", 42: "2", 43: "3", 44: "3"}


def test_off_takes_rps_away(machine: Machine) -> None:
    machine.write("sys/class/net/nic0/queues/rx-0/rps_cpus", "0000000f\n")
    done = machine.run("apply", {"rps": "off"})
    assert done.finding("host.rps")[:3] == ["ok", "off", "off"]
    assert machine.queue("rx-0/rps_cpus") == "00000000\n"


def test_more_flows_than_asked_are_kept(machine: Machine) -> None:
    machine.write("sys/class/net/nic0/queues/rx-0/rps_flow_cnt", "65536\n")
    machine.write("proc/sys/net/core/rps_sock_flow_entries", "131072\n")
    done = machine.run("apply", {"rfs": 32768})
    assert done.finding("host.rfs")[0] == "ok"
    assert done.finding(FLOWS)[:3] == ["kept", "32768", "131072"]
    assert [machine.queue(f"rx-{n}/rps_flow_cnt") for n in (0, 1)] == ["65536\n", "16384\n"]
    assert 'rps_flow_cnt}="65536"' in machine.read(RULES)


def test_the_card_below_a_bond_is_meant(machine: Machine) -> None:
    machine.write("proc/net/route", machine.read("proc/net/route").replace("nic0", "bond0"))
    machine.write("sys/class/net/bond0/queues/rx-0/rps_cpus", "00000000\n")
    (machine.root / "sys/class/net/bond0/lower_nic0").symlink_to("../nic0")
    machine.write("sys/class/net/tap0/queues/rx-0/rps_cpus", "00000000\n")
    (machine.root / "sys/class/net/bond0/lower_tap0").symlink_to("../tap0")
    assert machine.run("apply", {"rps": "spread"}).finding("host.rps")[0] == "ok"
    assert machine.queue("rx-1/rps_cpus") == "0000000f\n"
    assert machine.read("sys/class/net/tap0/queues/rx-0/rps_cpus") == "00000000\n"


def test_two_stacks_share_a_machine_and_the_greater_wish_wins(machine: Machine) -> None:
    before = machine.snapshot()
    machine.run("apply", {"rps": "spread", "rfs": 4096}, name="edge")
    other = machine.run("apply", {"rps": "off", "rfs": 32768}, name="other")
    assert "another stack on this host asks for spread" in other.finding("host.rps")[4]
    assert machine.queue("rx-0/rps_cpus") == "0000000f\n"
    assert machine.queue("rx-0/rps_flow_cnt") == "16384\n"
    machine.run("rollback", {}, name="edge")
    assert machine.queue("rx-0/rps_flow_cnt") == "16384\n"
    assert not (machine.root / RULES).exists()
    assert "rps_flow_cnt" in machine.read(RULES.replace("edge", "other"))
    machine.run("rollback", {}, name="other")
    assert machine.snapshot() == before
