"""hardware.sh: rendered where stack.yaml asks for it, and kept in the record till the last undo."""

from __future__ import annotations

import os
import subprocess

from stackctl.render.host import hardware_script

from .conftest import Machine

ASKS = {"rps": "spread", "rings": "max"}
KEPT = "var/lib/stackctl/host/hardware.sh"
RULES = "etc/udev/rules.d/99-zz-stackctl-edge.rules"


def prepared(machine: Machine) -> dict[str, bytes | str]:
    """Applies, and returns what was there before."""
    before = machine.snapshot()
    machine.run("apply", ASKS)
    assert machine.queue("rx-0/rps_cpus") == "0000000f\n"
    assert machine.read(KEPT) == hardware_script()
    return before


def test_a_render_without_it_still_rolls_back(machine: Machine) -> None:
    before = prepared(machine)
    assert machine.run("rollback", {}).status == 0
    assert machine.snapshot() == before


def test_a_render_that_asks_no_more_puts_back_on_apply(machine: Machine) -> None:
    before = prepared(machine)
    machine.run("apply", {})
    assert machine.queue("rx-0/rps_cpus") == "00000000\n"
    assert machine.rings() == before["rings"]
    assert not (machine.root / RULES).exists()
    machine.run("rollback", {})
    assert machine.snapshot() == before


def test_a_stack_that_asks_for_nothing_leaves_what_another_set(machine: Machine) -> None:
    before = prepared(machine)
    machine.run("apply", {}, name="other")
    machine.run("rollback", {}, name="other")
    assert machine.queue("rx-0/rps_cpus") == "0000000f\n"
    assert (machine.root / RULES).exists()
    machine.run("rollback", ASKS)
    assert machine.snapshot() == before


def refused(machine: Machine, command: str) -> str:
    """What prepare.sh, as it was rendered last, says when it does nothing."""
    before = machine.snapshot()
    done = subprocess.run(
        [*machine.shell, str(machine.folder / "render/edge/host/prepare.sh"), command],
        env={
            "PATH": f"{machine.bin}:{os.environ['PATH']}",
            "STACKCTL_HOST_ROOT": str(machine.root),
        },
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 2
    assert machine.snapshot() == before
    return done.stderr


def test_a_record_without_any_second_script_is_left_untouched(machine: Machine) -> None:
    prepared(machine)
    (machine.root / KEPT).unlink()
    assert machine.run("check", {}).status in {0, 1}
    for command in ("apply", "rollback"):
        assert "there is no hardware.sh to put them back" in refused(machine, command)


def test_a_folder_that_was_copied_in_part_is_refused(machine: Machine) -> None:
    prepared(machine)
    (machine.folder / "render/edge/host/hardware.sh").unlink()
    assert "hardware.sh is missing" in refused(machine, "apply")


def test_it_does_nothing_by_itself(machine: Machine) -> None:
    before = prepared(machine)
    assert before
    script = machine.folder / "render/edge/host/hardware.sh"
    done = subprocess.run(
        [*machine.shell, str(script)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 2
    assert "prepare.sh calls this" in done.stderr
