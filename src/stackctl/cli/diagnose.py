"""The command that says what is being refused now, and what is nearly full."""

from __future__ import annotations

import time
from typing import Annotated

import typer

from stackctl.cli.app import STACK_FILE, Json, StackFile, app, load_stack
from stackctl.cli.output import report_console

Seconds = Annotated[
    float, typer.Option("--seconds", min=0.5, max=3600, help="Between the two samples.")
]
All = Annotated[bool, typer.Option("--all", help="Also what is far from full.")]


@app.command()
def diagnose(
    file: StackFile = STACK_FILE, seconds: Seconds = 5, all_: All = False, json: Json = False
) -> None:
    """Say what the kernel, HAProxy and Telemt refuse, how fast that grows, and what is full.

    Two samples of this machine and of every namespace of the stack that runs on it.
    """
    from stackctl.checks.diagnose.judge import diagnose as judge
    from stackctl.checks.diagnose.sample import roles_of, take
    from stackctl.engine import Engine
    from stackctl.observe.here import cgroups_of, running_haproxy
    from stackctl.report.diagnose import diagnose_document, diagnose_report
    from stackctl.report.jsontext import to_json

    stack = load_stack(file)
    engine = Engine.connect()
    containers = engine.containers(stack.name)
    running_haproxy(containers, cgroups_of([c.pid for c in containers if c.pid]), stack.name)
    first = take(stack, engine, containers)
    time.sleep(seconds)
    second = take(stack, engine, containers)
    found = judge(stack.name, stack.link, roles_of(stack, containers), first, second)
    if json:
        print(to_json(diagnose_document(found)))
    else:
        diagnose_report(report_console(), found, all_)
    raise typer.Exit(int(found.exit_status))
