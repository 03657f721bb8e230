"""Commands that talk to the engine: up, down, status, verify, check."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from stackctl.cli.app import Fit, Json, StackFile, Strict, app, load_stack
from stackctl.cli.output import progress, report_console, write_file

if TYPE_CHECKING:
    from stackctl.operate.prove import Proof

Junit = Annotated[Path | None, typer.Option("--junit", help="Write JUnit XML to this file too.")]
Picture = Annotated[Path | None, typer.Option("--svg", help="Draw the report into this file too.")]
Verbose = Annotated[
    bool, typer.Option("--verbose", "-v", help="Show the evidence of every finding.")
]


@app.command("up")
def up_command(
    file: StackFile = None,
    fit: Fit = False,
    strict: Strict = False,
    json: Json = False,
    verbose: Verbose = False,
) -> None:
    """Build what is missing, start the stack, and prove it."""
    from stackctl.engine import Engine
    from stackctl.errors import Exit
    from stackctl.operate.up import up
    from stackctl.spec import load_secrets

    stack = load_stack(file, fit, strict, changes=True)
    secrets = load_secrets(stack.secrets_path)
    try:
        with progress() as say:
            for warning in secrets.warnings:
                say(f"warning: {warning}")
            proof = up(stack, secrets, Engine.connect(), say)
    except KeyboardInterrupt:
        print(
            f"interrupted: containers of {stack.name!r} may be running; "
            f"`stackctl down -f {stack.source_file}` removes them, "
            f"`stackctl up -f {stack.source_file}` continues",
            file=sys.stderr,
        )
        raise typer.Exit(int(Exit.INTERRUPTED)) from None
    _report(proof, json, None, verbose)


@app.command("down")
def down_command(
    file: StackFile = None,
    force: Annotated[
        bool, typer.Option("--force", help="Remove also a stack of this name from another folder.")
    ] = False,
    volumes: Annotated[
        bool, typer.Option("--volumes", help="Remove also the replicas' state: quotas and caches.")
    ] = False,
) -> None:
    """Stop the stack and remove everything with its label, except the replicas' state."""
    from stackctl.engine import Engine
    from stackctl.operate.up import down

    stack = load_stack(file, changes=True)
    with progress() as say:
        removed = down(stack, Engine.connect(), say, force=force, volumes=volumes)
    for what in removed:
        print(f"removed {what}")
    if not removed:
        print(f"{stack.name}: nothing was running")


@app.command("status")
def status_command(file: StackFile = None, json: Json = False) -> None:
    """Show each container's state, and each replica's state in HAProxy."""
    from stackctl.engine import Engine
    from stackctl.operate.status import status
    from stackctl.report.status import status_document, status_report

    found = status(load_stack(file), Engine.connect())
    if json:
        from stackctl.report.jsontext import to_json

        print(to_json(status_document(found)))
    else:
        status_report(report_console(), found)
    raise typer.Exit(int(found.exit_status))


@app.command()
def verify(
    file: StackFile = None,
    fit: Fit = False,
    strict: Strict = False,
    json: Json = False,
    junit: Junit = None,
    svg: Picture = None,
    verbose: Verbose = False,
) -> None:
    """Prove the running stack: every limit on its live process, socket and namespace."""
    from stackctl.engine import Engine
    from stackctl.errors import StackNotRunningError
    from stackctl.operate.prove import prove
    from stackctl.operate.sources import running

    stack = load_stack(file, fit, strict)
    engine = Engine.connect()
    sources = running(stack, engine)
    if sources is None:
        raise StackNotRunningError(
            f"{stack.name}: the engine has no HAProxy container of this stack",
            f"start it: `stackctl up -f {stack.source_file}`",
        )
    proof = prove(stack, engine, sources)
    if svg:
        from stackctl.report.terminal import findings_svg

        write_file(svg, findings_svg(proof.plan, proof.findings))
    _report(proof, json, junit, verbose)


@app.command("check")
def check_command(
    file: StackFile = None,
    fit: Fit = False,
    strict: Strict = False,
    json: Json = False,
    junit: Junit = None,
    verbose: Verbose = False,
) -> None:
    """Start a throwaway copy of the stack on a free port, prove it, and remove it."""
    from stackctl.engine import Engine
    from stackctl.operate.check import check
    from stackctl.spec import load_secrets

    stack = load_stack(file, fit, strict)
    secrets = load_secrets(stack.secrets_path)
    with progress() as say:
        proof = check(stack, secrets, Engine.connect(), say)
    _report(proof, json, junit, verbose)


def _report(proof: Proof, json: bool, junit: Path | None, verbose: bool) -> None:
    from stackctl.checks.finding import exit_status
    from stackctl.report import document
    from stackctl.report.jsontext import to_json
    from stackctl.report.terminal import findings_report

    if junit:
        write_file(junit, document.junit(proof.plan, proof.findings))
    if json:
        print(to_json(document.document(proof.plan, proof.findings)))
    else:
        findings_report(report_console(), proof.plan, proof.findings, verbose)
    raise typer.Exit(int(exit_status(proof.findings)))
