"""Stacks to measure on, with random names and temporary folders; nothing is left of them."""

from __future__ import annotations

import secrets
import signal
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import FrameType

from benchmarks.measure import stackctl_command
from stackctl.engine import Engine
from stackctl.operate.check import free_port

_STACK = """\
name: {name}
connections: 8000
replicas: {replicas}
listen: {port}
haproxy: {{source: build}}
telemt: {{source: double}}
"""

_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


@dataclass(frozen=True, slots=True)
class Lab:
    """One stack of a benchmark's own.

    Attributes:
        name: of the stack.
        file: its stack.yaml.
        engine: where it runs.
    """

    name: str
    file: Path
    engine: Engine

    @property
    def compose_file(self) -> Path:
        """What `stackctl up` rendered."""
        return self.file.parent / ".stackctl" / self.name / "compose.yaml"

    def remove(self, quiet: float = 0.0) -> None:
        """Take its containers, networks and volumes off the engine.

        Args:
            quiet: seconds in which nothing of it may turn up any more.
        """
        self.engine.remove_stack(self.name, quiet)


@contextmanager
def lab(
    engine: Engine, replicas: int, template: str = _STACK, port: int | None = None
) -> Iterator[Lab]:
    """A stack file with secrets in a temporary folder; nothing is started yet.

    What was started of it is removed in the end, also on failure, Ctrl-C, SIGTERM and SIGHUP.

    Args:
        engine: where it will run.
        replicas: how many.
        template: of the file; {name}, {replicas} and {port} are filled in.
        port: for clients; None: a free one.
    """
    name = f"bench-{secrets.token_hex(4)}"
    with signals_as_interrupts(), tempfile.TemporaryDirectory(prefix="stackctl-bench-") as folder:
        file = Path(folder) / "stack.yaml"
        filled = {"name": name, "replicas": replicas, "port": port or free_port()}
        file.write_text(template.format_map(filled))
        subprocess.run(
            stackctl_command("init", "--secrets-only", "-f", file), check=True, capture_output=True
        )
        made = Lab(name, file, engine)
        try:
            yield made
        finally:
            with signals_ignored():
                # What was interrupted may have been creating still.
                made.remove(quiet=2.0)


@contextmanager
def signals_ignored() -> Iterator[None]:
    """A second Ctrl-C must not stop a removal half way."""
    before = {number: signal.signal(number, signal.SIG_IGN) for number in _SIGNALS}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@contextmanager
def signals_as_interrupts() -> Iterator[None]:
    """SIGTERM and SIGHUP raise KeyboardInterrupt as Ctrl-C does, so that the stack is removed."""

    def interrupt(_signal: int, _frame: FrameType | None) -> None:
        raise KeyboardInterrupt

    before = {number: signal.signal(number, interrupt) for number in _SIGNALS}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
