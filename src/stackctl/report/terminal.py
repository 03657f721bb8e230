"""Reports for people. Colour and boxes only where there is a terminal that wants them."""

from __future__ import annotations

from collections.abc import Sequence

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from stackctl.plan import Plan
from stackctl.report.group import lines
from stackctl.report.words import heading, printable, shown
from stackctl.verify import Finding, Verdict, exit_status, summary

FEW = 4
"""Fewer limits than this are named one by one in a note."""

STYLES = {
    Verdict.OK: "green",
    Verdict.FITTED: "yellow",
    Verdict.SHORT: "bold red",
    Verdict.ERROR: "bold magenta",
    Verdict.SKIPPED: "dim",
}


def findings_report(
    console: Console, plan: Plan, findings: Sequence[Finding], verbose: bool = False
) -> None:
    """Print the table of findings, what is not ok with its remedy, and the count.

    Args:
        console: where to.
        plan: the stack, for the heading.
        findings: what verification found.
        verbose: show the evidence of every line, not only of those that are not ok.
    """
    heading(console, plan)
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, expand=False)
    for column in ("limit", "on", "wanted", "got", "", "seen"):
        table.add_column(column, overflow="fold", no_wrap=column in {"", "seen"})
    grouped = lines(findings)
    for line in grouped:
        f = line.finding
        style = STYLES[f.verdict]
        table.add_row(
            f.limit,
            line.targets,
            shown(f.wanted),
            shown(f.got),
            Text(f.verdict.value, style=style),
            f.depth.value,
        )
    console.print(table)
    for line in grouped:
        f = line.finding
        if f.verdict in {Verdict.SHORT, Verdict.ERROR} or verbose:
            console.print(
                Text(f"{f.verdict.value}  {f.limit} on {line.targets}", STYLES[f.verdict])
            )
            console.print(Text(printable(f"  seen: {f.evidence}")))
            if f.remedy:
                console.print(Text(f"  do:   {f.remedy}"))
    _notes(console, findings)
    counts = ", ".join(f"{n} {verdict}" for verdict, n in summary(findings).items() if n)
    console.print(Text(counts or "nothing was found", "bold"))
    if exit_status(findings):
        console.print(Text("NOT proven: see above", "bold red"))


def _notes(console: Console, findings: Sequence[Finding]) -> None:
    """Each reason why rows are fitted or skipped, once, with what to do about it."""
    groups: dict[tuple[Verdict, str, str], list[str]] = {}
    for f in findings:
        if f.reason:
            groups.setdefault((f.verdict, f.reason, f.remedy), []).append(f.limit)
    for (verdict, reason, remedy), keys in groups.items():
        names = list(dict.fromkeys(keys))
        what = ", ".join(names) if len(names) < FEW else f"{len(names)} limits"
        console.print(Text(f"{verdict.value}: {what}: {reason}", STYLES[verdict]))
        console.print(Text(f"  do:   {remedy}", STYLES[verdict]))
