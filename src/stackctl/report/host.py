"""What a run of prepare.sh found and did, for people and for machines."""

from __future__ import annotations

from typing import Any

from rich.console import Console
from rich.text import Text

from stackctl.checks.finding import summary
from stackctl.host.report import HostReport
from stackctl.report.document import findings_document, testsuite
from stackctl.report.terminal import findings_counts, findings_table
from stackctl.report.words import printable


def host_document(stack: str, found: HostReport) -> dict[str, Any]:
    """The object of `host check|apply|rollback --json`."""
    return {
        "stack": stack,
        "host": found.host,
        "command": found.command,
        "dry_run": found.dry,
        "findings": findings_document(found.findings),
        "changes": list(found.changes),
        "notes": list(found.notes),
        "advice": [{"topic": topic, "says": says} for topic, says in found.advice],
        "summary": summary(found.findings),
        "exit": int(found.status),
    }


def host_junit(stack: str, found: HostReport) -> str:
    """JUnit XML: one test case for each finding."""
    return testsuite(f"stackctl host {found.command} {stack}", stack, found.findings)


def host_report(console: Console, stack: str, found: HostReport, verbose: bool = False) -> None:
    """Print what was changed, the table of findings, the advice and the count."""
    console.print(Text(f"{stack}: host {found.command} on {found.host}", "bold"))
    for change in found.changes:
        console.print(Text(printable(f"  {'would ' if found.dry else ''}{change}")))
    for note in found.notes:
        console.print(Text(printable(f"note: {note}")))
    if found.findings:
        findings_table(console, found.findings, verbose)
    for topic, says in found.advice:
        console.print(Text(printable(f"{topic}: {says}")))
    if found.findings:
        findings_counts(console, found.findings)
