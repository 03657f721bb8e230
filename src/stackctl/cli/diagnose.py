"""The command that says what is being refused now, and what is nearly full."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Annotated

import typer

from stackctl.cli.app import Json, StackFile, app, load_stack
from stackctl.cli.output import report_console

if TYPE_CHECKING:
    from stackctl.checks.diagnose.judge import Sample

Seconds = Annotated[
    float, typer.Option("--seconds", min=0.5, max=3600, help="Seconds between the samples.")
]
All = Annotated[bool, typer.Option("--all", help="Show also what is far from full.")]


@app.command()
def diagnose(
    file: StackFile = None, seconds: Seconds = 5, all_: All = False, json: Json = False
) -> None:
    """Say what the kernel, HAProxy and Telemt refuse, how fast that grows, and what is full.

    Two samples of the engine's machine and of every namespace of the stack that runs on it.
    """
    from stackctl.checks.diagnose.judge import judge
    from stackctl.checks.diagnose.sample import roles_of, sample_of
    from stackctl.engine import Engine
    from stackctl.observe.look import look, running_haproxy
    from stackctl.report.diagnose import diagnose_document, diagnose_report
    from stackctl.report.jsontext import to_json

    stack = load_stack(file)
    engine = Engine.connect()
    containers = engine.containers(stack.name)
    running_haproxy(containers, stack.name)

    def sample() -> Sample:
        seen = look(engine, stack, clients=False, counters=True)
        return sample_of(seen, stack.network, time.monotonic())

    first = sample()
    time.sleep(seconds)
    roles = roles_of(stack.network, containers)
    found = judge(stack.name, stack.link, roles, first, sample())
    if json:
        print(to_json(diagnose_document(found)))
    else:
        diagnose_report(report_console(), found, all_)
    raise typer.Exit(int(found.exit_status))
