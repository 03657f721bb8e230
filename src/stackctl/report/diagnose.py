"""A diagnosis for people and machines."""

from __future__ import annotations

from typing import Any

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from stackctl.checks.diagnose.model import CounterFinding, Diagnosis, FillFinding
from stackctl.checks.finding import Verdict
from stackctl.report.words import printable

WORTH_SHOWING = 0.25
"""Fills below this share are left out unless asked for."""


def diagnose_report(console: Console, found: Diagnosis, everything: bool = False) -> None:
    """Print what grows, what has been counted before, what is full, and the verdict."""
    head = f"{found.stack}: two samples, {found.seconds:.1f} s apart"
    console.print(Text(printable(head), "bold"))
    if found.counters:
        console.print(_counters(found.counters))
    fills = [f for f in found.fills if everything or f.share >= WORTH_SHOWING]
    if fills:
        console.print(_fills(fills))
    for unread in found.unread:
        console.print(Text(printable(f"not read: {unread.evidence}"), "yellow"))
    growing = sum(counter.verdict is Verdict.SHORT for counter in found.counters)
    full = sum(fill.verdict is Verdict.SHORT for fill in found.fills)
    if growing or full:
        words = f"{growing} of the counters grow now, {full} limits are nearly full"
        console.print(Text(words, "bold red"))
        console.print("`stackctl limits KEY` explains a row, `stackctl verify` proves it")
    elif found.unread:
        console.print(Text("not all of it could be read: see above", "bold yellow"))
    else:
        fullest = found.fills[0] if found.fills else None
        words = (
            f"; the fullest is {fullest.about} on {fullest.target}, {_percent(fullest)}"
            if (fullest)
            else ""
        )
        console.print(Text(f"nothing is being refused, and nothing is full{words}", "bold green"))


def _counters(counters: tuple[CounterFinding, ...]) -> Table:
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for column in ("counter", "on", "so far", "a second", "means", "points at"):
        right = column in {"so far", "a second"}
        table.add_column(column, justify="right" if right else "left", overflow="fold")
    for counter in counters:
        table.add_row(
            Text(printable(counter.about)),
            counter.target,
            str(counter.total),
            f"{counter.per_second:.1f}" if counter.grew else "-",
            counter.means,
            ", ".join(counter.limits) or "-",
            style="bold red" if counter.grew else "",
        )
    return table


def _fills(fills: list[FillFinding]) -> Table:
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for column in ("in use", "on", "now", "of", "", "at the limit", "set by"):
        right = column in {"now", "of", ""}
        table.add_column(column, justify="right" if right else "left", overflow="fold")
    for fill in fills:
        table.add_row(
            fill.about,
            fill.target,
            str(fill.used),
            str(fill.of),
            _percent(fill),
            fill.means,
            ", ".join(fill.limits) or "-",
            style="bold red" if fill.verdict is Verdict.SHORT else "",
        )
    return table


def _percent(fill: FillFinding) -> str:
    return f"{fill.share:.0%}"


def diagnose_document(found: Diagnosis) -> dict[str, Any]:
    """The object of `diagnose --json`."""
    return {
        "stack": found.stack,
        "seconds": round(found.seconds, 3),
        "counters": [_counter_document(counter) for counter in found.counters],
        "fills": [_fill_document(fill) for fill in found.fills],
        "unread": [unread.evidence for unread in found.unread],
        "exit": int(found.exit_status),
    }


def _counter_document(counter: CounterFinding) -> dict[str, Any]:
    return {
        "where": counter.target,
        "name": counter.about,
        "verdict": counter.verdict.value,
        "total": counter.total,
        "grew": counter.grew,
        "per_second": counter.per_second,
        "means": counter.means,
        "limits": list(counter.limits),
        "remedy": counter.remedy,
    }


def _fill_document(fill: FillFinding) -> dict[str, Any]:
    return {
        "where": fill.target,
        "name": fill.about,
        "verdict": fill.verdict.value,
        "used": fill.used,
        "of": fill.of,
        "means": fill.means,
        "limits": list(fill.limits),
        "share": round(fill.share, 4),
        "nearly": fill.verdict is Verdict.SHORT,
        "remedy": fill.remedy,
    }
