"""The generator of `stackctl load`, compared with one in C, against the same echo server."""

from __future__ import annotations

import resource
import statistics
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from benchmarks.measure import (
    BenchmarkError,
    Figure,
    Taken,
    compile_stackctl,
    cpu,
    interleave,
    machine,
    main,
    median,
    publish,
)
from stackctl.traffic.model import Load, Machine, Target
from stackctl.traffic.plan import plan_load
from stackctl.traffic.run import run_load
from tests.doubles.compiler import compile_c

CONNECTIONS = 8000
IN_FLIGHT = 48
SOURCE = "127.0.1.1"
LEAST_SHARE = 0.8
MOST_BYTES = 100

IN_C = "a generator in C"
OURS = "stackctl load's generator"
START = "its start alone"


@dataclass(slots=True)
class Bench:
    """Compiled programs in a folder, and the memory that each round of ours took."""

    folder: Path
    bytes_each: list[float] = field(default_factory=list)

    def compile(self) -> None:
        """Compile both C programs.

        Raises:
            CompileError: there is no C compiler, or it refuses them.
        """
        for name in ("generator", "echo"):
            compile_c(Path(__file__).with_name(f"{name}.c"), self.folder)

    @contextmanager
    def server(self) -> Iterator[int]:
        """A new echo server's port; it ends with its stdin."""
        with subprocess.Popen(
            [self.folder / "echo"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        ) as process:
            assert process.stdout is not None
            yield int(process.stdout.readline())
            process.communicate()

    def in_c(self) -> Taken:
        """One round of the generator in C."""
        with self.server() as port:
            before = _children()
            argv = [
                str(self.folder / "generator"),
                *("127.0.0.1", str(port), SOURCE, str(CONNECTIONS), str(IN_FLIGHT)),
            ]
            with subprocess.Popen(
                argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
            ) as process:
                assert process.stdin is not None
                assert process.stdout is not None
                process.stdout.readline()
                process.stdin.write("go\n")
                process.stdin.flush()
                said = process.stdout.readline()
                process.communicate()
            if process.returncode or not said:
                raise BenchmarkError("not every connection of the generator in C was answered")
            return Taken(float(said), _children() - before)

    def ours(self, connections: int = CONNECTIONS) -> Taken:
        """One round of ours: one process, as many under way, the same bytes."""
        load = Load(connections, hold=0, handshake="none", in_flight=IN_FLIGHT)
        hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
        one = Machine(1, hard, (1024, 65535), CONNECTIONS * 2, 1 << 40)
        with self.server() as port:
            before = _children()
            plan = plan_load(load, Target("127.0.0.1", port), one)
            assert plan.sources == (SOURCE,)
            assert len(plan.shares) == 1
            tally = run_load(plan, (), lambda _: None, lambda: None).tally
            if tally.held != connections:
                raise BenchmarkError(f"{tally.held} of {connections} were held: {tally.failed}")
            if connections == CONNECTIONS:
                self.bytes_each.append(tally.own_bytes / tally.held)
            return Taken(tally.opening, _children() - before)


def _children() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def measure(repeats: int) -> None:
    """Compile, measure in turns, publish."""
    compile_stackctl()
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    if hard < CONNECTIONS + 100:
        raise BenchmarkError(
            f"a process here can have {hard} descriptors, {CONNECTIONS + 100} are needed: "
            "raise the hard limit (`ulimit -Hn`)"
        )
    about = machine()
    with tempfile.TemporaryDirectory(prefix="stackctl-bench-") as made:
        bench = Bench(Path(made))
        bench.compile()
        cases = {
            IN_C: partial(bench.in_c),
            OURS: partial(bench.ours),
            START: partial(bench.ours, 1),
        }
        samples = interleave(cases, repeats)
    slower = median(samples, OURS) / median(samples, IN_C)
    # Where others are at work both wait for a processor, and seconds hide what each needs of it.
    busier = (cpu(samples, OURS) - cpu(samples, START)) / cpu(samples, IN_C)
    share = 1 / max(slower, busier)
    each = statistics.median(bench.bytes_each)
    figures = [
        Figure(
            f"connects a second are {share:.2f} of the C one's, {LEAST_SHARE} wanted; as time",
            max(slower, busier),
            1 / LEAST_SHARE,
            "times",
            f"it is {slower:.2f} in seconds and {busier:.2f} in processor time without the start "
            f"of Python, of which the larger counts; the load was {about['load']} on "
            f"{about['cpus']} cpus",
        ),
        Figure(
            "its own memory for each connection held",
            each,
            MOST_BYTES,
            "B",
            f"rounds took {min(bench.bytes_each):.0f} to {max(bench.bytes_each):.0f} B",
        ),
    ]
    publish("generator", samples, figures, about)


if __name__ == "__main__":
    main(__doc__, measure)
