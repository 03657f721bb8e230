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
    help="Check, prepare and put back the machine that a stack runs on.",
    no_args_is_help=True,
    rich_markup_mode=None,
)
app.add_typer(host_app)

Ssh = Annotated[str, typer.Option("--ssh", help="On another machine: user@host, as ssh takes it.")]
Dry = Annotated[bool, typer.Option("--dry-run", help="Say what would be changed; change nothing.")]
Junit = Annotated[Path | None, typer.Option("--junit", help="Write JUnit XML to this file too.")]
Verbose = Annotated[bool, typer.Option("--verbose", "-v", help="Evidence of every finding.")]


@host_app.command()
def check(
    file: StackFile = None,
    ssh: Ssh = "",
    json: Json = False,
    junit: Junit = None,
    verbose: Verbose = False,
) -> None:
    """Compare what holds now, what will hold after a boot, and what is wanted; change nothing."""
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
    """Record what is there, set what is short, for now and for every boot, and read it back."""
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
    """Put back what was recorded, where it still is as apply left it."""
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
            f"interrupted: what was touched is recorded; `stackctl host {command} -f "
            f"{stack.source_file}` goes on, `stackctl host rollback -f {stack.source_file}` puts "
            f"it back",
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
