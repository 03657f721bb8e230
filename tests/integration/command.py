"""Commands as an operator's shell runs them: other surroundings, Ctrl-C, and clients of a stack."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from .lab import STACKCTL, Lab, until


def environment(**changes: str | Path | None) -> dict[str, str]:
    """This process's environment with changes; None takes a variable out."""
    values = os.environ | {"NO_COLOR": "1"} | {k: str(v) for k, v in changes.items() if v}
    return {k: v for k, v in values.items() if k not in changes or changes[k] is not None}


def stackctl_in(
    env: Mapping[str, str], *args: str, cwd: Path, timeout: float = 120
) -> subprocess.CompletedProcess[str]:
    """Run stackctl in an environment of its own."""
    return subprocess.run(
        [*STACKCTL, *args],
        cwd=cwd,
        env=dict(env),
        capture_output=True,
        text=True,
        timeout=timeout,
        check=False,
        stdin=subprocess.DEVNULL,
    )


class Command:
    """stackctl running by itself in a process group of its own, as a shell starts it."""

    def __init__(self, *args: str, cwd: Path, env: Mapping[str, str] | None = None) -> None:
        self._process = subprocess.Popen(
            [*STACKCTL, *args],
            cwd=cwd,
            env=dict(env or environment()),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        self._out: list[str] = []
        self._err: list[str] = []
        self._readers = [
            threading.Thread(target=_collect, args=(stream, lines), daemon=True)
            for stream, lines in (
                (self._process.stdout, self._out),
                (self._process.stderr, self._err),
            )
        ]
        for reader in self._readers:
            reader.start()

    @property
    def stdout(self) -> str:
        """What it has reported so far."""
        return "".join(self._out)

    @property
    def stderr(self) -> str:
        """What it has said so far."""
        return "".join(self._err)

    def said(self, pattern: str, seconds: float = 120) -> re.Match[str]:
        """Wait until stderr matches."""

        def matched() -> bool:
            found = re.search(pattern, self.stderr)
            assert found or self._process.poll() is None, f"it ended: {self.stderr}"
            return found is not None

        until(matched, seconds, f"{pattern!r} on stderr")
        found = re.search(pattern, self.stderr)
        assert found
        return found

    def ctrl_c(self) -> None:
        """What a terminal does: SIGINT for the whole group."""
        os.killpg(self._process.pid, signal.SIGINT)

    def terminate(self) -> None:
        """What `kill` does: SIGTERM for this process alone."""
        self.signal(signal.SIGTERM)

    def signal(self, number: signal.Signals) -> None:
        """A signal for this process alone."""
        self._process.send_signal(number)

    def wait(self, seconds: float = 180) -> int:
        """Its exit status, as a shell shows it: 128 and the number where a signal ended it."""
        status = self._process.wait(seconds)
        for reader in self._readers:
            reader.join(10)
        return status if status >= 0 else 128 - status

    def close(self) -> None:
        """End it whatever it does."""
        if self._process.poll() is None:
            os.killpg(self._process.pid, signal.SIGKILL)
        self.wait()


def _collect(stream: IO[str], lines: list[str]) -> None:
    with stream:
        lines.extend(iter(stream.readline, ""))


@contextmanager
def running(*args: str, cwd: Path, env: Mapping[str, str] | None = None) -> Iterator[Command]:
    """stackctl while it runs; ended at the end."""
    command = Command(*args, cwd=cwd, env=env)
    try:
        yield command
    finally:
        command.close()


def rewrite(lab: Lab, **keys: object) -> None:
    """Change keys of a lab's stack.yaml; those it does not have are added."""
    path = lab.folder / "stack.yaml"
    kept = [line for line in path.read_text().splitlines() if line.partition(":")[0] not in keys]
    path.write_text("\n".join([*kept, *(f"{key}: {value}" for key, value in keys.items())]) + "\n")


def server_rows(lab: Lab) -> dict[str, dict[str, str]]:
    """HAProxy's own `show stat` rows of the replicas, by name."""
    head, *rows = (line.split(",") for line in lab.admin("show stat").splitlines() if line)
    named = [dict(zip(head, row, strict=False)) for row in rows]
    return {row["svname"]: row for row in named if row["svname"].startswith("telemt-")}
