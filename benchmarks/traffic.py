"""The clients of measurements: traffic.c, compiled and told what to do."""

from __future__ import annotations

import json
import select
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from benchmarks.measure import BenchmarkError
from tests.doubles.compiler import compile_c

SOURCE = Path(__file__).with_name("traffic.c")
SLACK_SECONDS = 20.0
"""A command that takes so much longer than it was told to is ended."""


def build_traffic(folder: Path) -> Path:
    """Compile traffic.c into `folder`; returns the program.

    Raises:
        CompileError: there is no C compiler, or it refuses the source.
    """
    return compile_c(SOURCE, folder)


@dataclass(frozen=True, slots=True)
class Opened:
    """What came of opening connections.

    Attributes:
        opened: that a byte came back on.
        failed: that ended before, or were not answered in time.
        late: opened after more than 900 ms.
        held: open now, of all that this process has opened.
        seconds: from the first connect() to the last answer.
        cpu: seconds of the clients' own processor time.
        p50, p99, max: microseconds from connect() to the answer.
        causes: of failures, by errno's name.
    """

    opened: int
    failed: int
    late: int
    held: int
    seconds: float
    cpu: float
    p50: int
    p99: int
    max: int
    causes: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Carried:
    """What went over held connections: round trips, bytes received, seconds, own cpu seconds."""

    trips: int
    bytes: int
    held: int
    seconds: float
    cpu: float


@dataclass(frozen=True, slots=True)
class Held:
    """Connections that are open still, and the kernel's bytes for what came and was not read."""

    held: int
    waiting: int


class Traffic:
    """One process of clients; it ends, and resets what it holds, with the context.

    Args:
        program: the compiled traffic.c.
        host: IPv4 address they go to.
        port: TCP port.
        first: address that connection 0 comes from, the next from the next; "-": the kernel's
            choice.
        sources: how many addresses there are.
        namespace: a process whose network namespace they stand in; 0: this one's.
    """

    def __init__(
        self, program: Path, host: str, port: int, first: str, sources: int, namespace: int
    ) -> None:
        self._where = f"{host}:{port}"
        inside = ["nsenter", "-t", str(namespace), "-n"] if namespace else []
        self._process = subprocess.Popen(
            [*inside, str(program), host, str(port), first, str(sources)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._process.kill()
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe is not None:
                pipe.close()
        self._process.wait()

    @property
    def pid(self) -> int:
        """Its process id."""
        return self._process.pid

    def begin(self, command: str) -> None:
        """Give a command, whose answer `answer` waits for."""
        assert self._process.stdin is not None
        self._process.stdin.write(command + "\n")
        self._process.stdin.flush()

    def answer(self, seconds: float) -> dict[str, Any]:
        """The answer to the command that was begun.

        Raises:
            BenchmarkError: none came in time.
        """
        assert self._process.stdout is not None
        there, _, _ = select.select([self._process.stdout], [], [], seconds + SLACK_SECONDS)
        line = self._process.stdout.readline() if there else ""
        if not line:
            raise BenchmarkError(
                f"the clients of {self._where} "
                + ("ended" if there else f"did not answer in {seconds + SLACK_SECONDS:.0f} s")
            )
        told: dict[str, Any] = json.loads(line)
        return told

    def begin_open(
        self, count: int, in_flight: int = 48, seconds: float = 30.0, *, bulk: bool = False
    ) -> None:
        """Begin to open so many more; `opened` has the result."""
        self.begin(f"open {count} {in_flight} {seconds} {'bulk' if bulk else 'echo'}")

    def opened(self, seconds: float = 30.0) -> Opened:
        """What came of `begin_open`."""
        return Opened(**self.answer(seconds))

    def open(
        self, count: int, in_flight: int = 48, seconds: float = 30.0, *, bulk: bool = False
    ) -> Opened:
        """Open so many more connections and hold them; with `bulk` they are sent zeros."""
        self.begin_open(count, in_flight, seconds, bulk=bulk)
        return self.opened(seconds)

    def churn(self, seconds: float, in_flight: int) -> Opened:
        """Open, wait for the answer, reset, and repeat, for that long."""
        self.begin(f"churn {seconds} {in_flight}")
        return Opened(**self.answer(seconds))

    def messages(self, seconds: float, size: int) -> Carried:
        """Round trips of `size` bytes on all held connections, for so long."""
        self.begin(f"messages {seconds} {size}")
        return Carried(**self.answer(seconds))

    def read(self, seconds: float) -> Carried:
        """Read what comes on all held connections, for so long."""
        self.begin(f"read {seconds}")
        return Carried(**self.answer(seconds))

    def held(self) -> Held:
        """How many are open still."""
        self.begin("held")
        return Held(**self.answer(0))
