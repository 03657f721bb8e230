"""How long stackctl takes to start: `--help` and `plan`, beside what they are made of."""

from __future__ import annotations

import sys
import tempfile
from functools import partial
from pathlib import Path

from benchmarks.measure import (
    Figure,
    compile_stackctl,
    cpu,
    fastest,
    interleave,
    machine,
    main,
    median,
    publish,
    run,
    stackctl_command,
)

LIMIT = 0.25
EXTRA_ROUNDS = 3
"""Rounds are short here: this many times as many."""

INTERPRETER = "python -c pass"
LIBRARIES = "import typer, pydantic, yaml, rich"
_IMPORTS = """\
import typer, yaml, rich.console, rich.table
from pydantic import BaseModel, TypeAdapter
"""


def measure(repeats: int) -> None:
    """Measure and publish."""
    compile_stackctl()
    about = machine()
    with tempfile.TemporaryDirectory(prefix="stackctl-bench-") as made:
        folder = Path(made)
        run(stackctl_command("init", folder))
        file = folder / "stack.yaml"
        commands = {
            INTERPRETER: [sys.executable, "-c", "pass"],
            LIBRARIES: [sys.executable, "-c", _IMPORTS],
            "stackctl --help": stackctl_command("--help"),
            "stackctl plan": stackctl_command("plan", "-f", file),
            "stackctl plan --json": stackctl_command("plan", "--json", "-f", file),
        }
        cases = {name: partial(run, argv) for name, argv in commands.items()}
        samples = interleave(cases, EXTRA_ROUNDS * repeats)
    figures = [
        Figure(
            f"{case} starts",
            median(samples, case),
            LIMIT,
            "s",
            f"with a load of {about['load']} on {about['cpus']} cpus the libraries' own import "
            f"took {median(samples, LIBRARIES):.3f} s; the command had {cpu(samples, case):.3f} s "
            f"of processor time, and {fastest(samples, case):.3f} s in the fastest round",
        )
        for case in ("stackctl --help", "stackctl plan")
    ]
    publish("startup", samples, figures, about)


if __name__ == "__main__":
    main(__doc__, measure)
