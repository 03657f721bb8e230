"""Reports for people. Colour and boxes only where there is a terminal that wants them."""

from __future__ import annotations

from collections.abc import Sequence

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from stackctl.plan import Plan
from stackctl.report.group import lines
from stackctl.report.words import heading, shown
from stackctl.verify import Finding, Verdict, exit_status, summary

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
            console.print(Text(f"  seen: {f.evidence}"))
            if f.remedy:
                console.print(Text(f"  do:   {f.remedy}"))
    _notes(console, findings)
    counts = ", ".join(f"{n} {verdict}" for verdict, n in summary(findings).items() if n)
    console.print(Text(counts or "nothing was found", "bold"))
    if exit_status(findings):
        console.print(Text("NOT proven: see above", "bold red"))


def _notes(console: Console, findings: Sequence[Finding]) -> None:
    """Each reason why rows are fitted or skipped, once."""
    for verdict in (Verdict.FITTED, Verdict.SKIPPED):
        reasons: dict[str, list[str]] = {}
        for f in findings:
            if f.verdict is verdict:
                reason = (
                    f.evidence.rpartition("; ")[2]
                    if verdict is Verdict.FITTED
                    else f.evidence.partition("; ")[0]
                )
                reasons.setdefault(reason, []).append(f.limit)
        for reason, keys in reasons.items():
            what = (
                ", ".join(dict.fromkeys(keys)) if len(set(keys)) < 4 else f"{len(set(keys))} limits"
            )
            console.print(Text(f"{verdict.value}: {what}: {reason}", STYLES[verdict]))
