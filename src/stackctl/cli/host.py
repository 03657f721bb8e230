"""Commands for the machine itself: host check, apply and rollback."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from stackctl.cli.app import Json, StackFile, app, load_stack
from stackctl.cli.output import report_console, write_file

if TYPE_CHECKING:
    from stackctl.host import HostReport

host_app = typer.Typer(
    name="host",
    help="Check the machine that a stack runs on, prepare it, or undo the preparation.",
    no_args_is_help=True,
    rich_markup_mode=None,
)
app.add_typer(host_app)

Ssh = Annotated[str, typer.Option("--ssh", help="Run on another machine: user@host, as for ssh.")]
Dry = Annotated[bool, typer.Option("--dry-run", help="Say what would change; change nothing.")]
Junit = Annotated[Path | None, typer.Option("--junit", help="Write JUnit XML to this file too.")]
Verbose = Annotated[
    bool, typer.Option("--verbose", "-v", help="Show the evidence of every finding.")
]


@host_app.command()
def check(
    file: StackFile = None,
    ssh: Ssh = "",
    json: Json = False,
    junit: Junit = None,
    verbose: Verbose = False,
) -> None:
    """Compare the values now and after a boot with the wanted ones; change nothing."""
    _run("check", file, ssh, False, json, junit, verbose)


@host_app.command()
def apply(
    file: StackFile = None,
    ssh: Ssh = "",
    dry_run: Dry = False,
    json: Json = False,
    junit: Junit = None,
    verbose: Verbose = False,
) -> None:
    """Record the old values, set what is short, now and for every boot, and read it back."""
    _run("apply", file, ssh, dry_run, json, junit, verbose)


@host_app.command()
def rollback(
    file: StackFile = None,
    ssh: Ssh = "",
    dry_run: Dry = False,
    json: Json = False,
    junit: Junit = None,
    verbose: Verbose = False,
) -> None:
    """Put back the recorded values. A value that changed since apply stays as it is."""
    _run("rollback", file, ssh, dry_run, json, junit, verbose)


def _run(
    command: str,
    file: Path | None,
    ssh: str,
    dry: bool,
    json: bool,
    junit: Path | None,
    verbose: bool,
) -> None:
    from stackctl.errors import Exit
    from stackctl.host import run
    from stackctl.plan import make_plan
    from stackctl.render.host import host_files

    stack = load_stack(file, changes=command != "check")
    plan = make_plan(stack)
    try:
        found = run(command, host_files(plan), ssh, dry=dry)
    except KeyboardInterrupt:
        print(
            f"interrupted: every change so far is recorded; `stackctl host {command} -f "
            f"{stack.source_file}` continues, `stackctl host rollback -f {stack.source_file}` "
            f"undoes them",
            file=sys.stderr,
        )
        raise typer.Exit(int(Exit.INTERRUPTED)) from None
    _report(plan.name, found, json, junit, verbose)


def _report(stack: str, found: HostReport, json: bool, junit: Path | None, verbose: bool) -> None:
    from stackctl.report import host as report
    from stackctl.report.jsontext import to_json

    if junit:
        write_file(junit, report.host_junit(stack, found))
    if json:
        print(to_json(report.host_document(stack, found)))
    else:
        report.host_report(report_console(), stack, found, verbose)
    raise typer.Exit(int(found.status))
