"""What `doctor` found, for people and machines."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from stackctl.checks.doctor import Evidence, exit_status
from stackctl.checks.finding import OF_TOPICS, Finding, Verdict, summary
from stackctl.report.words import printable

STYLES = {
    Verdict.OK: "green",
    Verdict.ADVICE: "yellow",
    Verdict.SHORT: "bold red",
    Verdict.ERROR: "bold magenta",
}


def doctor_report(console: Console, seen: Evidence, findings: Sequence[Finding]) -> None:
    """Print what was seen topic by topic, what to do where it is not ok, and the count."""
    stack = seen.stack
    console.print(
        Text(
            f"{stack.name}: {stack.connections} connections, {stack.replicas} replicas, network "
            f"{stack.network}, {stack.link} links, {stack.limits.mode}",
            "bold",
        )
    )
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    table.add_column("topic", no_wrap=True)
    table.add_column("", no_wrap=True)
    table.add_column("seen, and what to do", overflow="fold")
    before = ""
    for line in findings:
        words = Text(printable(line.evidence))
        if line.remedy:
            words.append(f"\n  do: {printable(line.remedy)}", STYLES[line.verdict])
        topic = "" if line.about == before else line.about
        table.add_row(topic, Text(line.verdict.value, STYLES[line.verdict]), words)
        before = line.about
    console.print(table)
    counts = ", ".join(f"{n} {verdict}" for verdict, n in summary(findings, OF_TOPICS).items() if n)
    console.print(Text(counts, "bold"))


def doctor_document(seen: Evidence, findings: Sequence[Finding]) -> dict[str, Any]:
    """The object of `doctor --json`: stack, diagnoses, summary, exit."""
    return {
        "stack": seen.stack.name,
        "diagnoses": [
            {
                "topic": line.about,
                "verdict": line.verdict.value,
                "says": line.evidence,
                "remedy": line.remedy,
            }
            for line in findings
        ],
        "summary": summary(findings, OF_TOPICS),
        "exit": int(exit_status(seen, findings)),
    }
