"""Connections held in a machine: sinks for replicas, `stackctl load` for clients, all verified."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.metadata import distribution
from pathlib import Path
from typing import Any

from packaging.requirements import Requirement

import stackctl
from stackctl.engine import COLLECTOR_IMAGE, Engine
from stackctl.operate.sources import ensure_collector

from .deployment import Deployment, deploy_sinks
from .machine import Machine

PYTHON_VERSION = "3.13"
"""Debian 13's."""
PACKAGES = "/opt/stackctl/python"
STACK = "/opt/stackctl/load"
COMMAND = f"exec env NO_COLOR=1 PYTHONPATH={PACKAGES} python3"
POLL_SECONDS = 0.5
STALLED_SECONDS = 180
"""A load that opens no connection for so many seconds is stuck. It reports every 2 s."""
NOT_A_SINKS = {"haproxy.handshake", "telemt.handshake"}
"""Rows of the limits table that a sink cannot show: it speaks no MTProto."""
LINE = re.compile(r"^ *([0-9.]+) s  (opening|holding): (\d+) held, (\d+) failed")
"""A line of the progress that `stackctl load` writes where there is no terminal."""


@dataclass(frozen=True, slots=True)
class Held:
    """A load, and the verification that was made while all of its connections were held.

    Attributes:
        load: the object of `load --json`.
        verified: the object of `verify --json`.
        verifying: seconds that it took.
        hold: seconds that the load held.
    """

    load: Mapping[str, Any]
    verified: Mapping[str, Any]
    verifying: float
    hold: float


def start_sinks(
    machine: Machine,
    scratch: Path,
    connections: int,
    *more: Path,
    told: Callable[[str], None] = print,
) -> Deployment:
    """Prepare a machine for the production stack and start it, with sinks for replicas.

    Args:
        machine: booted, and not prepared yet.
        scratch: a folder for what is rendered and sent.
        connections: the number that the stack is planned for.
        more: folders of Python packages that the machine gets beside stackctl.
        told: is given each step.
    """
    put_stackctl(machine, scratch, *more)
    stack = deploy_sinks(machine, scratch, connections)
    told("the machine has the stack; its host is being prepared")
    said = stack.prepare("apply")
    assert said.status == 0, said.evidence
    # The login has the limits of before, and so have its processes.
    machine.disconnect()
    stack.up()
    calm(machine)
    told("the stack is up")
    return stack


def hold_and_verify(
    stack: Deployment,
    connections: int,
    holds: Sequence[float],
    told: Callable[[str], None] = print,
) -> Held:
    """Open connections, hold them, and verify every limit meanwhile.

    Args:
        stack: up, with sinks for replicas.
        connections: to open.
        holds: seconds to hold them. The next one is taken where verification outlasted the load.
        told: is given each line of progress.

    Raises:
        AssertionError: they could not be held, or verification outlasted every load.
    """
    for hold in holds:
        with loading(stack, connections, hold, told) as load:
            held = load.until_held()
            told(f"{held} are held; verifying")
            began = time.monotonic()
            verified = stack.verify("--strict")
            verifying = time.monotonic() - began
            meanwhile = load.held
            told(f"verified in {verifying:.0f} s; {meanwhile} are held")
            if meanwhile:
                assert meanwhile == held, f"{held} were held, and {meanwhile} after verification"
                return Held(load.result(hold + STALLED_SECONDS), verified, verifying, hold)
    raise AssertionError(f"verification took {verifying:.0f} s and outlasted a load of {hold:g} s")


def put_stackctl(machine: Machine, scratch: Path, *more: Path) -> None:
    """Give a Debian 13 machine stackctl and all it imports; it reaches no index by itself.

    Args:
        machine: where to.
        scratch: a folder to gather it in.
        more: folders of further packages.
    """
    gathered = scratch / "python"
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    wheels = ["--only-binary=:all:", "--implementation", "cp", "--python-version", PYTHON_VERSION]
    platforms = [f"--platform={name}_x86_64" for name in ("manylinux2014", "manylinux_2_28")]
    # Byte code of the Python that runs here would be of no use there.
    target = ["--target", str(gathered), "--no-deps", "--no-compile"]
    subprocess.run([*pip, *target, *wheels, *platforms, *_pins()], check=True)
    for package in (Path(str(stackctl.__file__)).parent, *more):
        without = shutil.ignore_patterns("__pycache__")
        shutil.copytree(package, gathered / package.name, ignore=without)
    # The collector image's Python is Debian 13's; compiling in emulation would take a minute.
    compiled = ["--user=0", "--network=none", "--entrypoint=python3", f"--volume={gathered}:/made"]
    compiler = ["-I", "-m", "compileall", "-q", "-s", "/made", "-p", PACKAGES, "/made"]
    ensure_collector(Engine.connect(), print)
    subprocess.run(["docker", "run", "--rm", *compiled, COLLECTOR_IMAGE, *compiler], check=True)
    machine.put(gathered, PACKAGES)


def _pins() -> list[str]:
    """`name==version` of everything stackctl needs to run, as it is installed here."""
    found: dict[str, str] = {}
    left = ["stackctl"]
    while left:
        needed = distribution(left.pop()).requires or ()
        for requirement in map(Requirement, needed):
            name = requirement.name
            there = {"extra": "", "python_version": PYTHON_VERSION}
            if name in found or (requirement.marker and not requirement.marker.evaluate(there)):
                continue
            found[name] = distribution(name).version
            left.append(name)
    return [f"{name}=={version}" for name, version in sorted(found.items())]


def calm(machine: Machine) -> None:
    """Have a machine's tasks run on for 30 ms, and not give way to each one that wakes.

    A change of tasks is expensive in emulation, and each byte that arrives wakes a task. This
    changes which task runs when, and no limit of the table. With it 566 connections a second were
    opened, 263 without: one run of each, the first of 60,000 and the second of 100,000.
    """
    machine.run(
        "cd /sys/kernel/debug/sched && echo NO_WAKEUP_PREEMPTION >features "
        "&& echo 30000000 >base_slice_ns"
    )


class Load:
    """A load that runs in a machine.

    Attributes:
        curve: seconds since the first connection, and connections held; as it tells of them.
    """

    def __init__(self, process: subprocess.Popen[str], said: Path, told: Callable[[str], None]):
        self.curve: list[tuple[float, int]] = []
        self._process, self._said, self._told = process, said, told
        self._read = 0
        self._doing = ""
        self._failed = 0

    def until_held(self) -> int:
        """Wait until it holds what it has opened; returns how many that are.

        Raises:
            AssertionError: it ended, or opens none any more.
        """
        most, grew = -1, time.monotonic()
        while self._doing != "holding":
            assert self._process.poll() is None, self._text()
            time.sleep(POLL_SECONDS)
            if self.held > most:
                most, grew = self.held, time.monotonic()
            stalled = time.monotonic() - grew > STALLED_SECONDS
            assert not stalled, f"{most} held, and no more for {STALLED_SECONDS} s: {self._text()}"
        return self.held

    @property
    def held(self) -> int:
        """Connections it holds, as last told; 0 where it has ended."""
        self._listen()
        return self.curve[-1][1] if self.curve and self._process.poll() is None else 0

    def result(self, seconds: float) -> dict[str, Any]:
        """The object of --json, once it ends by itself.

        Raises:
            AssertionError: it has none.
        """
        out, _ = self._process.communicate(timeout=seconds)
        assert self._process.returncode in {0, 1}, self._text()
        found: dict[str, Any] = json.loads(out)
        return found

    def _text(self) -> str:
        return self._said.read_text(errors="replace")[-3000:]

    def _listen(self) -> None:
        whole, _, _ = self._said.read_text(errors="replace")[self._read :].rpartition("\n")
        self._read += len(whole) + 1 if whole else 0
        for line in whole.splitlines():
            self._told(line)
            if match := LINE.match(line):
                self._doing = match[2]
                self.curve.append((float(match[1]), int(match[3])))


@contextmanager
def loading(
    deployment: Deployment,
    connections: int,
    hold: float,
    told: Callable[[str], None] = print,
) -> Iterator[Load]:
    """`stackctl load` of a machine's own stack, which then has sinks for replicas.

    Args:
        deployment: the stack; `put_stackctl` has been to its machine.
        connections: to open.
        hold: seconds.
        told: is given each line of its progress.
    """
    machine, here = deployment.machine, deployment.stack_file.parent
    for name in ("stack.yaml", "secrets.yaml"):
        machine.put(here / name, f"{STACK}/{name}")
    words = f"--connections {connections} --hold {hold:g} --timeout 300 --handshake none --json"
    command = f"cd {STACK} && {COMMAND} -m stackctl load --file stack.yaml {words}"
    with running(machine, command, told) as load:
        yield load


@contextmanager
def running(machine: Machine, command: str, told: Callable[[str], None]) -> Iterator[Load]:
    """A command in a machine that tells its progress as `stackctl load` does."""
    machine.shell.connect()
    with tempfile.NamedTemporaryFile("w+", prefix="stackctl-load-") as said:
        process = subprocess.Popen(
            machine.shell.argv(command),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=said,
            text=True,
            start_new_session=True,
        )
        try:
            yield Load(process, Path(said.name), told)
        finally:
            # In the machine it ends with its output's reader, or with the machine.
            process.kill()
            process.wait()


def bytes_each(said: Mapping[str, Any]) -> int:
    """Bytes of the machine that one held connection takes: kernel, HAProxy and all else.

    The memory of the replicas and of the load itself is left out. The kernel's memory for their
    sockets counts, also for those of the clients, which are on other machines as a rule.

    Args:
        said: the object of `load --json`.
    """
    each = {str(use["where"]): int(use["each"]) for use in said["memory"]}
    others = sum(
        number for where, number in each.items() if where == "load" or where.startswith("telemt-")
    )
    return each["machine"] - others
