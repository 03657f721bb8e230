"""Commands that read and write files and need no engine: init, plan, render, limits, links."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from stackctl.cli.app import Fit, Json, StackFile, Strict, app, load_stack


@app.command("init")
def init_command(
    folder: Annotated[Path, typer.Argument(help="Folder to write into.")] = Path(),
    name: Annotated[str, typer.Option(help="Name of the stack.")] = "lab",
    connections: Annotated[
        int, typer.Option(help="Clients that the stack carries at once.")
    ] = 8000,
    replicas: Annotated[int, typer.Option(help="Telemt replicas.")] = 2,
    secrets_only: Annotated[
        bool,
        typer.Option(
            "--secrets-only", help="Write only the secrets file that the stack file names."
        ),
    ] = False,
    file: StackFile = None,
) -> None:
    """Write an annotated stack.yaml and a secrets file with one user; overwrite nothing."""
    from stackctl.spec import init, init_secrets

    if secrets_only:
        written: tuple[Path, ...] = (init_secrets(load_stack(file, changes=True).secrets_path),)
    else:
        written = init(folder, name, connections, replicas)
    for path in written:
        print(f"wrote {path}")


@app.command()
def plan(file: StackFile = None, json: Json = False) -> None:
    """Print sizes, requirements, where each is set, and warnings. It asks no engine."""
    from stackctl.plan import make_plan

    decided = make_plan(load_stack(file))
    if json:
        from stackctl.report.jsontext import to_json
        from stackctl.report.plan import plan_document

        print(to_json(plan_document(decided)))
        return
    from stackctl.cli.output import report_console
    from stackctl.report.plan import plan_report

    plan_report(report_console(), decided)


@app.command("render")
def render_command(
    output: Annotated[Path, typer.Option("--output", "-o", help="Folder to write.")],
    file: StackFile = None,
    fit: Fit = False,
    strict: Strict = False,
) -> None:
    """Write compose.yaml, haproxy/, telemt/, secrets/ and host/: all a server with Docker needs."""
    from stackctl.operate.write import write_tree
    from stackctl.plan import make_plan
    from stackctl.render import MODES, render
    from stackctl.spec import load_secrets

    stack = load_stack(file, fit, strict)
    decided = make_plan(stack)
    files = render(decided, load_secrets(stack.secrets_path))
    changed = write_tree(output, files, MODES)
    print(f"{output}: {len(files)} files, {len(changed)} changed")
    for warning in decided.warnings:
        typer.echo(f"warning: {warning}", err=True)


@app.command()
def limits(
    key: Annotated[str, typer.Argument(help="One limit. Without it: all of them.")] = "",
    json: Json = False,
) -> None:
    """Explain the limits table: what each limit is, why, where it is set and how it is seen."""
    from stackctl.cli.output import report_console
    from stackctl.report.limits import explain, limits_document, limits_report, row

    if json:
        from stackctl.report.jsontext import to_json

        print(to_json(limits_document(key)))
    elif key:
        explain(report_console(), row(key))
    else:
        limits_report(report_console())


@app.command("links")
def links_command(file: StackFile = None) -> None:
    """Print a tg://proxy link for each user and mode. The links hold the secrets."""
    from stackctl.spec import links, load_secrets

    stack = load_stack(file)
    for link in links(stack, load_secrets(stack.secrets_path)):
        print(f"{link.user}\t{link.mode}\t{link.url}")
