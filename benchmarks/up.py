"""What `stackctl up` adds, verification included, to compose on the same rendered files."""

from __future__ import annotations

from collections.abc import Callable

from benchmarks.lab import Lab, lab
from benchmarks.measure import (
    Figure,
    Taken,
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

REPLICAS = 2
LIMIT = 1.3

COMPOSE = "docker compose up -d --wait"
STACKCTL = "stackctl up"
VERIFY = "stackctl verify, of what it started"


def measure(repeats: int) -> None:
    """Build the images, then start the same stack both ways in turns, from nothing each time."""
    compile_stackctl()
    engine = Engine.connect()
    about = machine(engine.version)
    with lab(engine, REPLICAS) as one:
        # Builds what is missing and renders the files that compose is given.
        run(stackctl_command("up", "-f", one.file))
        samples = interleave(_cases(one), repeats)
    compose, ours = median(samples, COMPOSE), median(samples, STACKCTL)
    figure = Figure(
        "stackctl up, compared with compose on the same files",
        ours / compose,
        LIMIT,
        "times",
        f"it took {ours - compose:.2f} s more, and one verification, program start included, "
        f"takes {median(samples, VERIFY):.2f} s, with a load of {about['load']} on "
        f"{about['cpus']} cpus",
    )
    publish("up", samples, [figure], about)


def _cases(one: Lab) -> dict[str, Callable[[], Taken]]:
    def compose() -> Taken:
        one.remove()
        return run(["docker", "compose", "-f", one.compose_file, "up", "-d", "--wait"])

    def ours() -> Taken:
        one.remove()
        return run(stackctl_command("up", "-f", one.file))

    def verify() -> Taken:
        # The containers of whichever case was last: both started the same.
        return run(stackctl_command("verify", "-f", one.file))

    return {COMPOSE: compose, STACKCTL: ours, VERIFY: verify}


if __name__ == "__main__":
    main(__doc__, measure)
