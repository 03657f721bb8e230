"""The production stack, rendered here and put on a machine whose engine has its images."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from stackctl.engine import COLLECTOR_IMAGE, Engine
from stackctl.operate.sources import ensure
from stackctl.plan import Sources
from stackctl.plan.make import haproxy_image, lab_datacentre_image, telemt_image
from stackctl.spec import load
from tests.doubles.sink import build

from .image import alone
from .machine import Machine
from .ssh import HUNG_SECONDS

ROOT = Path(__file__).parents[2]
FOLDER = "/opt/stackctl/production"
ASKED_ONCE = {"interval": "30m", "start_period": "30m", "start_interval": "20s"}
"""Until a container is healthy it is asked every 20 s, and then no more: each check costs processor
time that the load needs, and the first ones may run into their timeout while all start at once."""

THREADS = 2
OVERLAY = "emulated.yaml"
DOUBLE = "source: double"
REPLICAS = [f"telemt-{number}" for number in range(1, 9)]
SINKS = "/opt/stackctl/sinks"
SCRIPT = f"{FOLDER}/host/prepare.sh"
STACKCTL = [sys.executable, "-m", "stackctl"]


@dataclass(frozen=True, slots=True)
class Said:
    """The output of prepare.sh --porcelain.

    Attributes:
        status: its exit status.
        verdicts: by limit.
        evidence: by limit, with the remedy.
        changes: lines about what it changed.
        notes: its other lines.
    """

    status: int
    verdicts: Mapping[str, str]
    evidence: Mapping[str, str]
    changes: tuple[str, ...]
    notes: tuple[str, ...]

    @property
    def short(self) -> set[str]:
        """Limits that are neither ok nor kept."""
        return {key for key, verdict in self.verdicts.items() if verdict not in {"ok", "kept"}}


@dataclass(frozen=True, slots=True)
class Deployment:
    """The production stack of a machine: the stack file is here, the rendered folder there."""

    machine: Machine
    stack_file: Path
    folder: str = FOLDER
    overlay: str = ""

    def prepare(self, words: str, shell: str = "sh") -> Said:
        """Run prepare.sh in the machine."""
        done = self.machine.run(
            f"{shell} {self.folder}/host/prepare.sh --porcelain {words}",
            check=False,
        )
        lines = [line.split("\t") for line in done.stdout.splitlines()]
        assert lines, done.stderr
        assert lines[-1] == ["end", str(done.returncode)], done.stdout[-500:] + done.stderr
        found = [line[1:] for line in lines if line[0] == "finding"]
        return Said(
            status=done.returncode,
            verdicts={fields[1]: fields[0] for fields in found},
            evidence={fields[1]: f"{fields[5]}; {fields[6]}" for fields in found},
            changes=tuple(line[1] for line in lines if line[0] == "change"),
            notes=tuple(line[1] for line in lines if line[0] == "note"),
        )

    def journal(self) -> str:
        """The journal of the stack's unit since this boot, and the list of containers."""
        ask = "journalctl -b --no-pager -u stackctl-production.service | tail -n 60; docker ps -a"
        return self.machine.run(ask).stdout

    def stackctl(self, *args: str, **env: str) -> subprocess.CompletedProcess[str]:
        """Run stackctl here, for this stack file."""
        return subprocess.run(
            [*STACKCTL, *args, "--file", str(self.stack_file)],
            env={**os.environ, "NO_COLOR": "1", **env},
            capture_output=True,
            text=True,
            stdin=subprocess.DEVNULL,
            timeout=HUNG_SECONDS,
            check=False,
        )

    def up(self) -> None:
        """Start the stack, and wait until each of its containers is healthy."""
        files = f"-f compose.yaml -f {self.overlay}" if self.overlay else ""
        command = f"docker compose {files} up --detach --wait --remove-orphans"
        self.machine.run(f"cd {self.folder} && {command}")

    def down(self) -> None:
        """Remove the stack with its volumes."""
        self.machine.run(f"cd {self.folder} && docker compose down --volumes")

    def verify(self, *args: str) -> dict[str, Any]:
        """The JSON of `stackctl verify` through the machine's own engine."""
        with self.machine.docker_host() as engine:
            done = self.stackctl("verify", "--json", *args, DOCKER_HOST=engine)
        assert done.returncode in {0, 1}, done.stderr
        found: dict[str, Any] = json.loads(done.stdout)
        return found


def production_images(scratch: Path) -> tuple[str, ...]:
    """Build the container images that machines run, on the engine here.

    Args:
        scratch: a folder that is not there yet.

    Returns:
        Their names: what `deploy` and `deploy_sinks` render names these and no others.
    """
    scratch.mkdir()
    engine = Engine.connect()
    names = [lab_datacentre_image(), COLLECTOR_IMAGE]
    double = _stack_file(scratch / "double", DOUBLE)
    sinks = _stack_file(scratch / "sinks", f"source: binary\n  binary: {build(scratch)}")
    with alone("containers"):
        for file in (double, sinks):
            stack = load(file)
            sources = Sources(telemt=stack.telemt.source, haproxy="build")
            ensure(stack, sources, engine, print)
            names += [haproxy_image(stack, sources), telemt_image(stack, sources)]
    return tuple(dict.fromkeys(names))


def deploy(machine: Machine, scratch: Path) -> Deployment:
    """Render stack/production.yaml with images that the machine has, and put it there.

    Two replicas and the lab double: what the host gives them is what Telemt would be given.

    Args:
        machine: where to.
        scratch: a folder for the stack file and what is rendered.
    """
    return _deploy(machine, _stack_file(scratch / "plain", DOUBLE, replicas=2), FOLDER)


def deploy_sinks(machine: Machine, scratch: Path, connections: int) -> Deployment:
    """The same with all of its replicas, each of them the sink of tests/doubles/sink.

    A sink is packaged as a Telemt binary is and stands in for Telemt where numbers are measured
    that no double in Python could hold. Everything else is what production.yaml renders: compose
    file, HAProxy, links, limits. It shows what HAProxy, the kernel and the host carry; it shows
    nothing of what Telemt itself takes for a connection, and shakes no hands.

    Two things are not as rendered. Docker does not ask a healthy container again for half an hour:
    it starts three processes each time, seconds of a core in emulation, and ten containers that are
    asked every 20 s leave a hundred connections a second to the rest. And HAProxy has a thread for
    each of the machine's two CPUs, not six.

    Args:
        machine: where to.
        scratch: a folder for the stack file and what is rendered.
        connections: the number that the stack is planned for.
    """
    sink = build(scratch)
    telemt = f"source: binary\n  binary: {sink}"
    threads = f"threads: {THREADS}\n"
    file = _stack_file(scratch / "sinks", telemt, threads, connections=connections)
    made = _deploy(machine, file, SINKS)
    services = ("haproxy", "datacentre", *REPLICAS)
    text = json.dumps({"services": {key: {"healthcheck": ASKED_ONCE} for key in services}})
    machine.run(f"cat >{SINKS}/{OVERLAY}", input=text)
    return replace(made, overlay=OVERLAY)


def _stack_file(folder: Path, telemt: str, keys: str = "", **numbers: int) -> Path:
    """stack/production.yaml in a folder of its own, with what can be had without a registry.

    Args:
        folder: is made; the secrets go there, too.
        telemt: the lines that say where Telemt comes from.
        keys: lines to add.
        numbers: keys with other numbers.
    """
    text = (ROOT / "stack/production.yaml").read_text() + keys
    for pattern, instead in (
        *((rf"^{key}: \d+", f"{key}: {number}") for key, number in numbers.items()),
        (r"^(haproxy:\n(?:  # .*\n)*  source: )official", r"\1build"),
        (r"^(telemt:\n(?:  # .*\n)*  )source: official", rf"\1{telemt}"),
        # The machine has no internet: the whole path ends in the stack itself.
        (r"^  middle_proxy: false", "  middle_proxy: false\n  datacentre: lab"),
    ):
        text, count = re.subn(pattern, instead, text, flags=re.MULTILINE)
        assert count == 1, pattern
    folder.mkdir()
    file = folder / "stack.yaml"
    file.write_text(text)
    _stackctl("init", "--secrets-only", "--file", str(file))
    return file


def _deploy(machine: Machine, stack_file: Path, folder: str) -> Deployment:
    rendered = stack_file.parent / "production"
    _stackctl("render", "-o", str(rendered), "--file", str(stack_file))
    machine.put(rendered, folder)
    return Deployment(machine, stack_file, folder)


def _stackctl(*words: str) -> None:
    done = subprocess.run([*STACKCTL, *words], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
