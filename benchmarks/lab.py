"""Stacks to measure on: random names, temporary folders, and nothing of them left afterwards."""

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
from stackctl.apply.check import free_port
from stackctl.engine import Engine

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
def lab(engine: Engine, replicas: int) -> Iterator[Lab]:
    """A stack file with secrets in a temporary folder; nothing is started yet.

    What was started of it is removed in the end, also on failure, Ctrl-C, SIGTERM and SIGHUP.
    """
    name = f"bench-{secrets.token_hex(4)}"
    with _signals_as_interrupts(), tempfile.TemporaryDirectory(prefix="stackctl-bench-") as folder:
        file = Path(folder) / "stack.yaml"
        file.write_text(_STACK.format(name=name, replicas=replicas, port=free_port()))
        subprocess.run(
            stackctl_command("init", "--secrets-only", "-f", file), check=True, capture_output=True
        )
        made = Lab(name, file, engine)
        try:
            yield made
        finally:
            before = {number: signal.signal(number, signal.SIG_IGN) for number in _SIGNALS}
            try:
                # What was interrupted may have been creating still.
                made.remove(quiet=2.0)
            finally:
                for number, handler in before.items():
                    signal.signal(number, handler)


@contextmanager
def _signals_as_interrupts() -> Iterator[None]:
    def interrupt(_signal: int, _frame: FrameType | None) -> None:
        raise KeyboardInterrupt

    before = {number: signal.signal(number, interrupt) for number in _SIGNALS}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
