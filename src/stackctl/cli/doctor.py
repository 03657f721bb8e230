"""The command that looks for what keeps this host from carrying the stack's connections."""

from __future__ import annotations

import typer

from stackctl.cli.app import Fit, Json, StackFile, Strict, app, load_stack
from stackctl.cli.output import progress, report_console


@app.command()
def doctor(
    file: StackFile = None,
    json: Json = False,
    fit: Fit = False,
    strict: Strict = False,
) -> None:
    """Say what keeps this host from carrying the stack's connections, with the remedies."""
    from stackctl.checks.doctor import exit_status, judge
    from stackctl.operate.examine import examine
    from stackctl.report.doctor import doctor_document, doctor_report

    stack = load_stack(file, fit, strict)
    with progress() as say:
        seen = examine(stack, say)
    findings = judge(seen)
    if json:
        from stackctl.report.jsontext import to_json

        print(to_json(doctor_document(seen, findings)))
    else:
        doctor_report(report_console(), seen, findings)
    raise typer.Exit(int(exit_status(seen, findings)))
