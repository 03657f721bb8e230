"""What `stackctl verify` takes on 8 replicas, compared with 2."""

from __future__ import annotations

from contextlib import ExitStack
from functools import partial

from benchmarks.lab import lab
from benchmarks.measure import (
    Figure,
    compile_stackctl,
    interleave,
    machine,
    main,
    median,
    publish,
    run,
    stackctl_command,
)
from stackctl.engine import Engine

FEW, MANY = 2, 8
LIMIT = 1.3


def measure(repeats: int) -> None:
    """Start both stacks, measure in turns, publish, remove both."""
    compile_stackctl()
    engine = Engine.connect()
    about = machine(engine.version)
    with ExitStack() as stacks:
        labs = {n: stacks.enter_context(lab(engine, n)) for n in (FEW, MANY)}
        for one in labs.values():
            run(stackctl_command("up", "-f", one.file))
        cases = {
            f"verify, {n} replicas": partial(run, stackctl_command("verify", "-f", one.file))
            for n, one in labs.items()
        }
        samples = interleave(cases, repeats)
    few, many = (median(samples, case) for case in cases)
    each = (many - few) / (MANY - FEW)
    figure = Figure(
        f"verify on {MANY} replicas, compared with {FEW}",
        many / few,
        LIMIT,
        "times",
        f"each replica more took {each * 1000:.0f} ms, with a load of {about['load']} on "
        f"{about['cpus']} cpus: replicas are read side by side where there are cpus for it",
    )
    publish("verify", samples, [figure], about)


if __name__ == "__main__":
    main(__doc__, measure)
