"""What the benchmarks share: interleaved rounds, medians, figures, and what machine it was."""

from __future__ import annotations

import argparse
import compileall
import json
import os
import platform
import resource
import signal
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, TypeVar

import stackctl
from tests.doubles.compiler import CompileError

RESULTS = Path(__file__).parent / "results"
LEAST_REPEATS = 5
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Taken:
    """What one run of a command took.

    Attributes:
        seconds: from start to end.
        cpu: seconds of processor time of the command and what it started; what a daemon did for
            it is not in it. Others at work on the machine hardly change it.
    """

    seconds: float
    cpu: float


Samples = Mapping[str, Sequence[Taken]]
"""What each case took, once for each round."""


class BenchmarkError(Exception):
    """The measured command failed, so its time means nothing."""


@dataclass(frozen=True, slots=True)
class Figure:
    """One promised number, and its measured value.

    Attributes:
        name: what it is.
        value: as measured, in `unit`.
        limit: what it may be at most, or must be at least.
        unit: "s" or "times".
        reason: why it was not reached; not shown where it was.
        at_least: the limit is the least, and not the most.
    """

    name: str
    value: float
    limit: float
    unit: str
    reason: str
    at_least: bool = False

    @property
    def reached(self) -> bool:
        """Whether the value is within the limit."""
        return self.value >= self.limit if self.at_least else self.value <= self.limit

    def sentence(self) -> str:
        """The figure as one line."""
        bound = "at least" if self.at_least else "at most"
        words = f"{self.name}: {self.value:.3f} {self.unit}, {bound} {self.limit:g}"
        return f"{words}: reached" if self.reached else f"{words}: NOT REACHED: {self.reason}"


def main(description: str | None, *benchmarks: Callable[[int], None]) -> None:
    """The command line of every benchmark; ends the process with 1 or 130 where one did not end."""
    repeats = _repeats(description)
    try:
        for benchmark in benchmarks:
            benchmark(repeats)
    except (BenchmarkError, CompileError) as error:
        sys.exit(f"error: {error}")
    except KeyboardInterrupt:
        print("interrupted: nothing was written of the benchmark that ran", file=sys.stderr)
        sys.exit(130)


def _repeats(description: str | None) -> int:
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument(
        "--repeats", type=int, default=7, help=f"rounds, {LEAST_REPEATS} or more (default 7)"
    )
    repeats = int(parser.parse_args().repeats)
    if repeats < LEAST_REPEATS:
        parser.error(f"--repeats: {LEAST_REPEATS} or more, for a median that means something")
    return repeats


def stackctl_command(*words: str | Path) -> list[str]:
    """The stackctl of this environment, as an operator calls it."""
    return [str(Path(sys.executable).with_name("stackctl")), *map(str, words)]


def compile_stackctl() -> None:
    """Compile the package, as an installation does: a first call's compiling is no start-up."""
    for folder in stackctl.__path__:
        compileall.compile_dir(folder, quiet=1)


def run(argv: Sequence[str | Path]) -> Taken:
    """Run a command to its end.

    Raises:
        BenchmarkError: it failed; the end of what it said is in the message.
    """
    before, began = _children_cpu(), time.perf_counter()
    process = subprocess.Popen(
        argv,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        # A group of its own: an interrupt must end what the command started, too.
        start_new_session=True,
    )
    try:
        said, _ = process.communicate()
    except BaseException:
        os.killpg(process.pid, signal.SIGTERM)
        process.wait()
        raise
    took = Taken(time.perf_counter() - began, _children_cpu() - before)
    if process.returncode != 0:
        end = "\n  ".join(said.splitlines()[-12:])
        command = " ".join([Path(argv[0]).name, *map(str, argv[1:2])])
        raise BenchmarkError(f"`{command}` ended with status {process.returncode}:\n  {end}")
    return took


def _children_cpu() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def interleave(cases: Mapping[str, Callable[[], T]], repeats: int) -> dict[str, list[T]]:
    """Every case once a round, so that what else the machine does falls on all of them alike.

    Every other round goes backwards: no case is always the one behind a certain other.

    Args:
        cases: name → runs it once.
        repeats: rounds that count; one more before them, which does not, warms the caches.
    """
    samples: dict[str, list[T]] = {name: [] for name in cases}
    for number in range(repeats + 1):
        names = list(cases) if number % 2 == 0 else list(reversed(list(cases)))
        for name in names:
            took = cases[name]()
            if number > 0:
                samples[name].append(took)
        if sys.stderr.isatty():
            end = "\r" if number < repeats else "\n"
            print(f"  round {number} of {repeats}", end=end, file=sys.stderr, flush=True)
    return samples


def median(samples: Samples, case: str) -> float:
    """The median of a case, in seconds."""
    return statistics.median(taken.seconds for taken in samples[case])


def fastest(samples: Samples, case: str) -> float:
    """The fastest round of a case, in seconds."""
    return min(taken.seconds for taken in samples[case])


def cpu(samples: Samples, case: str) -> float:
    """The median of a case, in seconds of processor time."""
    return statistics.median(taken.cpu for taken in samples[case])


def machine(engine: str = "") -> dict[str, Any]:
    """The machine and software that ran this, without names or places.

    Args:
        engine: the Docker engine's version; empty where none had a part in it.
    """
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    found = {
        "cpus": len(os.sched_getaffinity(0)),
        "memory_gib": round(memory / 2**30, 1),
        "kernel": ".".join(platform.release().split(".")[:2]),
        "python": platform.python_version(),
        # Above the number of cpus, others were at work: compare ratios, not seconds.
        "load": round(os.getloadavg()[0], 1),
    }
    return {**found, "engine": engine} if engine else found


def publish(
    name: str, samples: Samples, figures: Sequence[Figure], about: Mapping[str, Any]
) -> None:
    """Print the table and the figures, and write both to results/NAME.json.

    Args:
        name: of the benchmark.
        samples: what every case took; ratios are to the first case.
        figures: what was promised.
        about: the machine's description, taken before the first round.
    """
    cases = {
        case: {
            "median": round(median(samples, case), 4),
            "min": round(fastest(samples, case), 4),
            "max": round(max(taken.seconds for taken in samples[case]), 4),
            "cpu": round(cpu(samples, case), 4),
        }
        for case in samples
    }
    first = next(iter(cases.values()))
    width = max(len(case) for case in cases)
    print(f"\n{name}: {', '.join(f'{key} {value}' for key, value in about.items())}")
    print(f"  {'seconds':{width}}   median      min      max      cpu   ratio  ratio of min")
    for case, row in cases.items():
        row["ratio"] = round(row["median"] / first["median"], 3)
        row["ratio_of_min"] = round(row["min"] / first["min"], 3)
        print(
            f"  {case:{width}} {row['median']:8.3f} {row['min']:8.3f} {row['max']:8.3f} "
            f"{row['cpu']:8.3f} {row['ratio']:7.2f} {row['ratio_of_min']:13.2f}"
        )
    for figure in figures:
        print(f"  {figure.sentence()}")
    document = {
        "benchmark": name,
        "machine": dict(about),
        "repeats": len(next(iter(samples.values()))),
        "cases": cases,
        "figures": [described(figure) for figure in figures],
    }
    write(name, document)


def described(figure: Figure) -> dict[str, Any]:
    """A figure as it stands in results/."""
    return {
        **{key: value for key, value in asdict(figure).items() if key != "reason"},
        "value": round(figure.value, 4),
        "reached": figure.reached,
        **({} if figure.reached else {"reason": figure.reason}),
    }


def write(name: str, document: Mapping[str, Any]) -> None:
    """Write results/NAME.json."""
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / f"{name}.json").write_text(json.dumps(document, indent=1) + "\n")
