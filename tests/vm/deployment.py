"""The production stack, rendered here and put on a machine, with images built here."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from stackctl.engine import COLLECTOR_IMAGE, Engine
from stackctl.engine.images import ensure_base, ensure_image
from stackctl.operate.sources import ensure, ensure_collector
from stackctl.plan import Sources
from stackctl.plan.make import haproxy_image, lab_datacentre_image, telemt_image
from stackctl.spec import load

from .machine import Machine

ROOT = Path(__file__).parents[2]
FOLDER = "/opt/stackctl/production"
SINK_IMAGE = "stackctl/telemt:production"
UP_SECONDS = 600
ASKED_ONCE = {"interval": "30m", "start_interval": "20s"}
THREADS = 2
OVERLAY = "emulated.yaml"
REPLICAS = [f"telemt-{number}" for number in range(1, 9)]
SINKS = "/opt/stackctl/sinks"
SCRIPT = f"{FOLDER}/host/prepare.sh"
STACKCTL = [sys.executable, "-m", "stackctl"]


@dataclass(frozen=True, slots=True)
class Said:
    """What prepare.sh said under --porcelain.

    Attributes:
        status: its exit status.
        verdicts: by limit.
        evidence: by limit, with the remedy.
        changes: what it did.
        notes: what else it said.
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
    """The production stack of a machine: its stack file here, its folder there."""

    machine: Machine
    stack_file: Path
    folder: str = FOLDER
    overlay: str = ""

    def prepare(self, words: str, shell: str = "sh", timeout: float = 300) -> Said:
        """Run prepare.sh in the machine."""
        done = self.machine.run(
            f"{shell} {self.folder}/host/prepare.sh --porcelain {words}",
            check=False,
            timeout=timeout,
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
        """What the unit that starts the stack and its containers said in this boot."""
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
            timeout=300,
            check=False,
        )

    def up(self) -> None:
        """Start it, and wait until each of its containers is healthy."""
        files = f"-f compose.yaml -f {self.overlay}" if self.overlay else ""
        command = f"docker compose {files} up --detach --wait --remove-orphans"
        self.machine.run(f"cd {self.folder} && {command}", timeout=UP_SECONDS)

    def down(self) -> None:
        """Take it away, volumes and all."""
        self.machine.run(f"cd {self.folder} && docker compose down --volumes", timeout=200)

    def verify(self, *args: str) -> dict[str, Any]:
        """The JSON of `stackctl verify` through the machine's own engine."""
        with self.machine.docker_host() as engine:
            done = self.stackctl("verify", "--json", *args, DOCKER_HOST=engine)
        assert done.returncode in {0, 1}, done.stderr
        found: dict[str, Any] = json.loads(done.stdout)
        return found


def deploy(machine: Machine, scratch: Path, images: Sequence[str] = ()) -> Deployment:
    """Render stack/production.yaml with images that can be had here, and put it all there.

    Two replicas and the lab double: what the host gives them is what Telemt would be given.

    Args:
        machine: where to.
        scratch: a folder for the stack file and what is rendered.
        images: further ones to send with these; layers they share are sent once.
    """
    return _deploy(machine, scratch, FOLDER, {"replicas": 2}, "source: double", images)


def sink_image(sink: Path) -> str:
    """Build the image that `deploy_sinks` runs, on the engine here."""
    engine = Engine.connect()
    base = ensure_base(engine.client, print)
    return ensure_image(engine.client, "telemt", SINK_IMAGE, base, print, {"telemt": sink})


def deploy_sinks(
    machine: Machine, scratch: Path, sink: Path, connections: int = 250_000
) -> Deployment:
    """The same with all of its replicas, each of them the sink of benchmarks/sink.

    A sink is packaged as a Telemt binary is and stands in for Telemt where numbers are measured
    that no double in Python could hold. Everything else is what production.yaml renders: compose
    file, HAProxy, links, limits. It shows what HAProxy, the kernel and the host carry; it shows
    nothing of what Telemt itself takes for a connection, and shakes no hands.

    Two things are not as rendered. Containers that are healthy are not asked again for half an
    hour: Docker starts three processes each time, seconds of a core in emulation, and ten
    containers that are asked every 20 s leave a hundred connections a second to the rest. And
    HAProxy has a thread for each of the machine's two CPUs, not six.

    Args:
        machine: where to.
        scratch: a folder that is not there yet, for the stack file and what is rendered.
        sink: the executable.
        connections: the stack's number.
    """
    source = f"source: binary\n  binary: {sink}"
    numbers = {"connections": connections}
    made = _deploy(machine, scratch, SINKS, numbers, source, (), f"threads: {THREADS}\n")
    services = ("haproxy", "datacentre", *REPLICAS)
    text = json.dumps({"services": {key: {"healthcheck": ASKED_ONCE} for key in services}})
    machine.run(f"cat >{SINKS}/{OVERLAY}", input=text)
    return replace(made, overlay=OVERLAY)


def _deploy(
    machine: Machine,
    scratch: Path,
    folder: str,
    numbers: Mapping[str, int],
    telemt: str,
    more: Sequence[str],
    keys: str = "",
) -> Deployment:
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
    scratch.mkdir(exist_ok=True)
    stack_file = scratch / "stack.yaml"
    stack_file.write_text(text)
    for command in (("init", "--secrets-only"), ("render", "-o", str(scratch / "production"))):
        done = subprocess.run(
            [*STACKCTL, *command, "--file", str(stack_file)],
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
    stack = load(stack_file)
    sources = Sources(telemt=stack.telemt.source, haproxy="build")
    engine = Engine.connect()
    ensure(stack, sources, engine, print)
    ensure_collector(engine, print)
    machine.put(scratch / "production", folder)
    images = [haproxy_image(stack, sources), telemt_image(stack, sources), lab_datacentre_image()]
    machine.put_images([*images, COLLECTOR_IMAGE, *more])
    return Deployment(machine, stack_file, folder)
