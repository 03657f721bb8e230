"""A machine in a folder: four CPUs, a card with two queues each way, as prepare.sh sees them."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from stackctl.limits import TABLE, Place
from stackctl.limits.targets import HOST
from stackctl.plan import make_plan
from stackctl.render.host import RFS_TABLE, host_files
from stackctl.spec import Stack

# As ethtool 6.1 prints them of a virtio card; the numbers are ours.
ETHTOOL = """\
#!/bin/sh
state=${0%/*}/rings
read -r rx tx <"$state"
case $1 in
-G)
    shift 2
    while [ $# -gt 0 ]; do
        case $1 in rx) rx=$2 ;; tx) tx=$2 ;; esac
        shift 2
    done
    echo "$rx $tx" >"$state"
    echo set >>"${0%/*}/rings-set"
    ;;
-g)
    printf 'Ring parameters for %s:\\nPre-set maximums:\\n' "$2"
    printf 'RX:\\t\\t4096\\nRX Mini:\\tn/a\\nRX Jumbo:\\tn/a\\nTX:\\t\\t2048\\n'
    printf 'Current hardware settings:\\nRX:\\t\\t%s\\n' $rx
    printf 'RX Mini:\\tn/a\\nRX Jumbo:\\tn/a\\nTX:\\t\\t%s\\n' $tx
    printf 'RX Buf Len:\\t\\tn/a\\nCQE Size:\\t\\tn/a\\nTX Push:\\toff\\n'
    printf 'TCP data split:\\tn/a\\n'
    ;;
-l)
    printf 'Channel parameters for %s:\\nPre-set maximums:\\n' "$2"
    printf 'RX:\\t\\tn/a\\nTX:\\t\\tn/a\\nOther:\\t\\tn/a\\nCombined:\\t2\\n'
    printf 'Current hardware settings:\\n'
    printf 'RX:\\t\\tn/a\\nTX:\\t\\tn/a\\nOther:\\t\\tn/a\\nCombined:\\t2\\n'
    ;;
esac
"""
TC = '#!/bin/sh\necho "qdisc fq 8001: root refcnt 2 limit 10000p"\n'
SYSTEMCTL = "#!/bin/sh\nexit 0\n"
SYNC = "#!/bin/sh\n# What is below a temporary folder need not reach the disk.\n"

# Wide enough masks to show that the kernel's own zeros are no difference.
FILES = {
    "proc/net/route": "Iface Destination Gateway Flags RefCnt Use Metric Mask MTU Window IRTT\n"
    "nic0 00000000 0100000A 0003 0 0 0 00000000 0 0 0\n",
    "proc/net/softnet_stat": "00000100 00000000 00000000\n" * 4,
    "proc/interrupts": "           CPU0       CPU1       CPU2       CPU3\n"
    " 40:          0          0          0          0  PCI-MSIX  0-edge      virtio2-config\n"
    " 41:        900          0          0          0  PCI-MSIX  1-edge      virtio2-input.0\n"
    " 42:         50          0          0          0  PCI-MSIX  2-edge      virtio2-output.0\n"
    " 43:         25          0          0          0  PCI-MSIX  3-edge      virtio2-input.1\n"
    " 44:         25          0          0          0  PCI-MSIX  4-edge      virtio2-output.1\n",
    "proc/sys/net/core/rps_sock_flow_entries": "0\n",
    "sys/class/net/nic0/speed": "10000\n",
    "sys/class/net/nic0/statistics/rx_missed_errors": "0\n",
    "sys/class/net/nic0/statistics/rx_fifo_errors": "0\n",
    "sys/devices/pci/numa_node": "-1\n",
    "sys/devices/system/cpu/online": "0-3\n",
    "sys/devices/system/cpu/isolated": "\n",
    "sys/devices/system/node/node0/cpulist": "0-3\n",
}
QUEUE_INTERRUPTS = {
    41: "virtio2-input.0",
    42: "virtio2-output.0",
    43: "virtio2-input.1",
    44: "virtio2-output.1",
}


@dataclass(frozen=True)
class Result:
    """What one run said, split at its tabs, by the first field."""

    status: int
    lines: list[list[str]]

    def of(self, kind: str) -> list[list[str]]:
        return [fields[1:] for fields in self.lines if fields[0] == kind]

    def finding(self, key: str) -> list[str]:
        """Verdict, wanted, got, depth, evidence and remedy of one row."""
        found = [row for row in self.of("finding") if row[1] == key]
        assert len(found) == 1, (key, self.lines)
        return [found[0][0], *found[0][2:]]

    def advice(self) -> dict[str, str]:
        return {fields[0]: fields[1] for fields in self.of("advice")}

    def changes(self) -> list[str]:
        return [fields[0] for fields in self.of("change")]


@dataclass(frozen=True)
class Machine:
    """A root below a folder, the commands beside it, and the shell that runs prepare.sh."""

    folder: Path
    shell: tuple[str, ...]

    @property
    def root(self) -> Path:
        return self.folder / "root"

    @property
    def bin(self) -> Path:
        return self.folder / "bin"

    def write(self, path: str, text: str) -> None:
        file = self.root / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)

    def read(self, path: str) -> str:
        return (self.root / path).read_text()

    def queue(self, name: str) -> str:
        return self.read(f"sys/class/net/nic0/queues/{name}")

    def affinity(self) -> dict[int, str]:
        return {n: self.read(f"proc/irq/{n}/smp_affinity_list").strip() for n in QUEUE_INTERRUPTS}

    def governors(self) -> set[str]:
        found = (self.root / "sys/devices/system/cpu/cpufreq").glob("policy*/scaling_governor")
        return {path.read_text().strip() for path in found}

    def command(self, name: str, text: str) -> None:
        file = self.bin / name
        file.parent.mkdir(exist_ok=True)
        file.write_text(text)
        file.chmod(0o755)

    def rings(self) -> str:
        return (self.bin / "rings").read_text().strip()

    def with_cpufreq(self) -> None:
        for policy in (0, 2):
            at = f"sys/devices/system/cpu/cpufreq/policy{policy}"
            self.write(f"{at}/scaling_governor", "powersave\n")
            self.write(f"{at}/scaling_available_governors", "performance powersave \n")
        for cpu in range(4):
            self.write(f"sys/devices/system/cpu/cpu{cpu}/cpufreq/scaling_driver", "acpi-cpufreq\n")
            link = self.root / f"sys/devices/system/cpu/cpu{cpu}/cpufreq/scaling_governor"
            link.symlink_to(f"../../cpufreq/policy{cpu // 2 * 2}/scaling_governor")

    def snapshot(self) -> dict[str, bytes | str]:
        """Every file and link of the root, and the rings that live outside it."""
        found: dict[str, bytes | str] = {"rings": self.rings()}
        for path in sorted(self.root.rglob("*")):
            name = str(path.relative_to(self.root))
            found[name] = str(path.readlink()) if path.is_symlink() else "folder"
            if path.is_file() and not path.is_symlink():
                found[name] = path.read_bytes()
        return found

    def run(
        self,
        command: str,
        host: dict[str, Any],
        *flags: str,
        name: str = "edge",
        whole: bool = False,
    ) -> Result:
        """prepare.sh of a stack that asks for `host`, as --porcelain shows it.

        Its table is cut down to what is asked of the hardware, which saves most of the time,
        unless it is to be `whole`.
        """
        stack = {"name": name, "connections": 1000, "network": "host", "host": host}
        made = self.folder / "render" / name
        shutil.rmtree(made, ignore_errors=True)
        for path, text in host_files(make_plan(Stack.model_validate(stack))).items():
            (made / path).parent.mkdir(parents=True, exist_ok=True)
            kept = text if whole or path != "host/limits.tsv" else _of_hardware(text)
            (made / path).write_text(kept)
        done = subprocess.run(
            [*self.shell, str(made / "host/prepare.sh"), command, "--porcelain", *flags],
            env={
                "PATH": f"{self.bin}:{os.environ['PATH']}",
                "STACKCTL_HOST_ROOT": str(self.root),
            },
            capture_output=True,
            text=True,
            check=False,
            timeout=120,
        )
        # Whatever a shell complains of is a fault of the script.
        assert done.stderr == ""
        return Result(done.returncode, [line.split("\t") for line in done.stdout.splitlines()])


def _of_hardware(table: str) -> str:
    kept = [line for line in table.splitlines() if "\t" not in line or _KEPT.search(line)]
    return "\n".join(kept) + "\n"


_KEPT = re.compile(rf"^(stack|hardware)\t|\t{re.escape(RFS_TABLE)}\t")


@pytest.fixture(params=["dash", "busybox sh"])
def machine(request: pytest.FixtureRequest, tmp_path: Path) -> Machine:
    made = Machine(tmp_path, tuple(request.param.split()))
    for name, text in (("ethtool", ETHTOOL), ("tc", TC), ("systemctl", SYSTEMCTL), ("sync", SYNC)):
        made.command(name, text)
    if made.shell[0] == "busybox":
        # A base system of busybox has its awk and sed too.
        for applet in ("awk", "sed", "grep", "find", "sort", "tr", "cut", "wc", "readlink"):
            (made.bin / applet).symlink_to(str(shutil.which("busybox")))
    (made.bin / "rings").write_text("256 256\n")
    for path, text in FILES.items():
        made.write(path, text)
    for queue in (0, 1):
        at = "sys/class/net/nic0/queues"
        made.write(f"{at}/rx-{queue}/rps_cpus", "00000000\n")
        made.write(f"{at}/rx-{queue}/rps_flow_cnt", "0\n")
        made.write(f"{at}/tx-{queue}/xps_cpus", "00000000\n")
    for number, name in {40: "virtio2-config", **QUEUE_INTERRUPTS}.items():
        (made.root / f"proc/irq/{number}/{name}").mkdir(parents=True)
        made.write(f"proc/irq/{number}/smp_affinity_list", "0-3\n")
        made.write(f"proc/irq/{number}/effective_affinity_list", "0\n")
        made.write(f"sys/devices/pci/msi_irqs/{number}", "msix\n")
    # A virtio card stands below the PCI device that has its interrupts.
    (made.root / "sys/devices/pci/virtio2").mkdir()
    (made.root / "sys/bus/virtio_net").mkdir(parents=True)
    (made.root / "sys/devices/pci/virtio2/driver").symlink_to("../../../bus/virtio_net")
    (made.root / "sys/class/net/nic0/device").symlink_to("../../../devices/pci/virtio2")
    for module in ("nf_conntrack", "sch_fq", "tcp_bbr"):
        (made.root / "sys/module" / module).mkdir(parents=True)
    for folder in ("sysctl.d", "modules-load.d", "security/limits.d", "systemd/system", "udev"):
        (made.root / "etc" / folder).mkdir(parents=True)
    for folder in ("var/lib", "run/systemd/system"):
        (made.root / folder).mkdir(parents=True)
    stack = Stack.model_validate({"name": "edge", "connections": 1000, "network": "host"})
    for _, written in make_plan(stack).written(HOST, Place.SYSCTL_D):
        # Satisfied beforehand: what is left to change is hardware.
        assert TABLE[written.where]
        made.write("proc/sys/" + written.where.replace(".", "/"), written.text + "\n")
    return made
