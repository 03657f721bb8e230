"""Reports for people. Colours appear only on a terminal that wants them."""

from __future__ import annotations

import io
import re
from collections import Counter
from collections.abc import Sequence

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from stackctl.checks.finding import LimitFinding, Verdict, exit_status, summary
from stackctl.plan import Plan
from stackctl.report.group import lines
from stackctl.report.words import heading, printable, shown

PICTURE_WIDTH = 148

_FONT = re.compile(r"@font-face \{.*?\}", re.DOTALL)
"""Rich names fonts on a public server; a picture in a document must not fetch anything."""

FEW = 4
"""Fewer limits than this are named one by one in a note, and each with its own remedy."""

STYLES = {
    Verdict.OK: "green",
    Verdict.KEPT: "green",
    Verdict.FITTED: "yellow",
    Verdict.SHORT: "bold red",
    Verdict.ERROR: "bold magenta",
    Verdict.SKIPPED: "dim",
}


def findings_report(
    console: Console, plan: Plan, findings: Sequence[LimitFinding], verbose: bool = False
) -> None:
    """Print the table of findings, what is not ok with its remedy, and the count.

    Args:
        console: where to print.
        plan: the stack, for the heading.
        findings: what verification found.
        verbose: show the evidence of every line, not only of those that are not ok.
    """
    heading(console, plan)
    findings_table(console, findings, verbose)
    findings_counts(console, findings)


def findings_table(console: Console, findings: Sequence[LimitFinding], verbose: bool) -> None:
    """The table, and below it the evidence and the remedy of each line that is not ok."""
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
    bad = {Verdict.SHORT, Verdict.ERROR}
    remedies = Counter(line.finding.remedy for line in grouped if line.finding.verdict in bad)
    shared = {remedy: n for remedy, n in remedies.items() if remedy and n >= FEW}
    for line in grouped:
        f = line.finding
        if f.verdict in bad or verbose:
            console.print(
                Text(f"{f.verdict.value}  {f.limit} on {line.targets}", STYLES[f.verdict])
            )
            console.print(Text(printable(f"  seen: {f.evidence}")))
            if f.remedy and f.remedy not in shared:
                console.print(Text(f"  do:   {f.remedy}"))
    for remedy, count in shared.items():
        console.print(Text(f"do, for {count} of these: {remedy}", "bold"))
    _notes(console, findings)


def findings_counts(console: Console, findings: Sequence[LimitFinding]) -> None:
    """Print how many findings have each verdict, and whether that is a proof."""
    counts = ", ".join(f"{n} {verdict}" for verdict, n in summary(findings).items() if n)
    console.print(Text(counts or "nothing was found", "bold"))
    if exit_status(findings):
        console.print(Text("NOT proven: see above", "bold red"))


def _notes(console: Console, findings: Sequence[LimitFinding]) -> None:
    """Print each reason why rows are fitted or skipped once, with its remedy."""
    groups: dict[tuple[Verdict, str, str], list[str]] = {}
    for f in findings:
        if f.reason:
            groups.setdefault((f.verdict, f.reason, f.remedy), []).append(f.limit)
    for (verdict, reason, remedy), keys in groups.items():
        names = list(dict.fromkeys(keys))
        what = ", ".join(names) if len(names) < FEW else f"{len(names)} limits"
        console.print(Text(f"{verdict.value}: {what}: {reason}", STYLES[verdict]))
        console.print(Text(f"  do:   {remedy}", STYLES[verdict]))


def findings_svg(plan: Plan, findings: Sequence[LimitFinding]) -> str:
    """SVG of the report of these findings, as a terminal of 148 columns shows it."""
    console = Console(
        file=io.StringIO(), record=True, width=PICTURE_WIDTH, highlight=False, force_terminal=True
    )
    findings_report(console, plan, findings)
    return _FONT.sub("", console.export_svg(title=f"stackctl verify ({plan.name})"))
