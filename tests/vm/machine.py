"""A virtual machine: boots, runs commands, reboots, and is removed at the end whatever happens."""

from __future__ import annotations

import re
import secrets
import shlex
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from types import TracebackType

from .image import Image
from .ssh import HUNG_SECONDS, CommandError, Shell

QEMU = "qemu-system-x86_64"
BOOT_ID = "/proc/sys/kernel/random/boot_id"
CPU = "max,-la57,-smap,-smep,-umip,-pku,-erms,-svm"
"""Left out is what emulation makes expensive and no test needs: a fifth level of page tables,
checks of the kernel's accesses, `rep movsb`. The gain of each was not measured."""
# Mitigations protect nothing in this machine and cost a seventh of a boot. On a busy host the
# kernel takes the emulated TSC for unstable and uses the HPET, which is slow to read.
# A panic ends the emulator, and with it the wait for the machine.
KERNEL_LINE = "root=/dev/nvme0n1 rw console=ttyS0 mitigations=off tsc=reliable quiet panic=-1"


class MachineError(Exception):
    """A machine failed; the message ends with the last lines of its console."""


class Machine:
    """A context manager: inside it the machine is up, every unit of its boot settled.

    Its disks are overlays in `scratch`, which live as long as the machine, reboots included.
    It has no network but ssh from this host.
    """

    def __init__(
        self,
        image: Image,
        scratch: Path,
        memory_mib: int = 3072,
        cpus: int = 2,
        boot_seconds: float = HUNG_SECONDS,
    ) -> None:
        self.image = image
        self.failed_units: tuple[str, ...] = ()
        self._scratch = scratch
        self._memory_mib = memory_mib
        self._cpus = cpus
        self._boot_seconds = boot_seconds
        self._console = scratch / "console.log"
        self._kernel = scratch / "vmlinuz"
        self._port = 0
        self._process: subprocess.Popen[bytes] | None = None
        self._shell: Shell | None = None

    def __enter__(self) -> Machine:
        try:
            self._start()
            self._settle(before="")
        except BaseException:
            self.kill()
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.kill()
        if error is not None:
            error.add_note(self._last_words())

    @property
    def shell(self) -> Shell:
        """Root's shell in the machine. MachineError if the machine is not running."""
        if self._shell is None:
            raise MachineError("the machine is not running; use it inside `with Machine(...)`")
        return self._shell

    @property
    def boot_id(self) -> str:
        """The id that the kernel gives each boot."""
        return self.run(f"cat {BOOT_ID}").stdout.strip()

    def run(
        self,
        command: str,
        check: bool = True,
        timeout: float = HUNG_SECONDS,
        input: str | None = None,  # noqa: A002 - as subprocess.run calls it
    ) -> subprocess.CompletedProcess[str]:
        """Run a command line as root; see Shell.run."""
        return self.shell.run(command, check=check, timeout=timeout, input=input)

    def disconnect(self) -> None:
        """End root's login. The next command logs in again, and gets the limits of that moment."""
        self.shell.disconnect()

    def put(self, path: Path, remote: str) -> None:
        """Copy a file or folder to the absolute path `remote`, replacing what is there."""
        name, to = shlex.quote(path.name), PurePosixPath(remote)
        folder, target = shlex.quote(str(to.parent)), shlex.quote(str(to))
        # It is unpacked beside its place, so that a failed copy leaves what was there.
        command = (
            f"set -e; mkdir -p {folder}; part=$(mktemp -d -p {folder}); "
            f'trap \'rm -rf "$part"\' EXIT; tar -xf - -C "$part"; '
            f'rm -rf {target}; mv -T "$part"/{name} {target}'
        )
        tar = ["tar", "--owner=0", "--group=0", "-cf", "-", "-C", str(path.absolute().parent)]
        self.shell.feed([*tar, "--", path.name], command)

    def get(self, remote: str, path: Path) -> None:
        """Copy a file or folder at the absolute path `remote` to `path`, which is not there yet."""
        if path.exists():
            raise MachineError(f"{path} is there already; give a path that is not")
        to = PurePosixPath(remote)
        part = path.with_name(f".{path.name}.part")
        part.mkdir()
        try:
            command = f"tar -cf - -C {shlex.quote(str(to.parent))} -- {shlex.quote(to.name)}"
            self.shell.fetch(command, ["tar", "-xf", "-", "-C", str(part)])
            (part / to.name).rename(path)
        finally:
            shutil.rmtree(part)

    @contextmanager
    def docker_host(self) -> Iterator[str]:
        """A DOCKER_HOST for this host's tools that is the machine's engine, until it reboots."""
        with self.shell.forwarded("/var/run/docker.sock") as local:
            yield f"unix://{local}"

    def reboot(self) -> None:
        """Reboot from inside; returns when the machine is up again and settled.

        The reset ends the emulator, and a new emulator boots the same disks. One emulator for
        both boots would take twice as long: it has to drop its translations page by page.
        """
        before, process = self.boot_id, self._process
        assert process is not None
        self.run("systemctl --no-block reboot", check=False)
        try:
            process.wait(self._boot_seconds)
        except subprocess.TimeoutExpired as e:
            message = f"the machine does not go down within {self._boot_seconds:.0f} s"
            raise MachineError(f"{message}\n{self._last_words()}") from e
        if process.returncode:
            self._still_runs()
        self.disconnect()
        self._power_on()
        self._settle(before)

    def kill(self) -> None:
        """Power the machine off at once. It cannot be used afterwards."""
        if self._shell is not None:
            self._shell.close()
            self._shell = None
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def _start(self) -> None:
        for tool in (QEMU, "qemu-img", "ssh"):
            if shutil.which(tool) is None:
                raise MachineError(f"{tool} is missing; run: scripts/engine tools vm")
        for name, base in (("disk", self.image.disk), ("store", self.image.store)):
            overlay = str(self._scratch / f"{name}.qcow2")
            made = ["qemu-img", "create", "-q", "-f", "qcow2", "-b", str(base), "-F", "raw"]
            subprocess.run([*made, overlay], check=True)
        shutil.copy(self.image.kernel, self._kernel)  # a cache may be cleaned meanwhile
        self._port = _free_port()
        self._shell = Shell(self._port, self.image.key, self.image.known_hosts)
        self._power_on()

    def _power_on(self) -> None:
        nic = f"user,model=virtio-net-pci,restrict=on,hostfwd=tcp:127.0.0.1:{self._port}-:22"
        # The kernel has a driver for NVMe built in, and needs it for the root file system. Of two
        # NVMe disks either could become nvme0, so the other one is another kind of disk.
        disks: list[str] = []
        for name, device in (("disk", "nvme,serial=stackctl"), ("store", "virtio-blk-pci")):
            file = f"file={self._scratch / name}.qcow2,format=qcow2,if=none,id={name},cache=unsafe"
            disks += ["-drive", file, "-device", f"{device},drive={name}"]
        argv = [
            # Whatever ends this process ends the machine: also a second signal, or SIGKILL.
            *("setpriv", "--pdeathsig", "KILL", "--"),
            *(QEMU, "-nodefaults", "-no-user-config", "-display", "none", "-no-reboot"),
            *("-accel", "tcg,thread=multi", "-cpu", CPU),
            *("-m", f"{self._memory_mib}M", "-smp", str(self._cpus)),
            *("-kernel", str(self._kernel), "-append", KERNEL_LINE),
            *disks,
            *("-nic", nic, "-device", "virtio-rng-pci", "-serial", "chardev:console"),
            *("-chardev", f"file,id=console,path={self._console},append=on"),
        ]
        with (self._scratch / "qemu.log").open("ab") as log:
            self._process = subprocess.Popen(
                argv,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,  # a Ctrl-C is for the test, which then ends it
            )

    def _settle(self, before: str) -> None:
        """Wait for a boot other than `before`, and for all of its units."""
        deadline = time.monotonic() + self._boot_seconds
        state = "no ssh"
        while state not in {"running", "degraded"}:
            self._still_runs()
            if time.monotonic() > deadline:
                what = f"the machine is not up after {self._boot_seconds:.0f} s (last: {state})"
                raise MachineError(f"{what}\n{self._last_words()}")
            time.sleep(0.5)
            state = self._state(before, deadline) or state
        listed = self.run("systemctl list-units --failed --plain --no-legend").stdout
        self.failed_units = tuple(line.split()[0] for line in listed.splitlines() if line)

    def _state(self, before: str, deadline: float) -> str:
        """What systemd says of this boot once its jobs are done; empty before it answers."""
        ask = f"cat {BOOT_ID} && systemctl is-system-running --wait"
        try:
            left = max(1.0, deadline - time.monotonic())
            boot, *state = self.run(ask, check=False, timeout=left).stdout.split() or [before]
        except CommandError:
            return ""
        if boot == before:
            self.disconnect()
            return ""
        return state[0] if state else ""

    def _still_runs(self) -> None:
        if self._process is None or self._process.poll() is None:
            return
        said = (self._scratch / "qemu.log").read_text(errors="replace")
        status = self._process.returncode
        raise MachineError(f"{QEMU} ended with {status}: {said}\n{self._last_words()}")

    def _last_words(self) -> str:
        try:
            text = self._console.read_text(errors="replace")
        except FileNotFoundError:
            text = ""
        plain = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]|\r", "", text).splitlines()
        return "\n".join([f"--- last lines of {self._console}", *plain[-25:]])


def _free_port() -> int:
    """A port that is free now and outside the range of local ports."""
    while True:
        port = 20000 + secrets.randbelow(9000)
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port
