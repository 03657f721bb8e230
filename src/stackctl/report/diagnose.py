"""A diagnosis for people and machines."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from stackctl.checks.diagnose.model import Diagnosis, Fill, Growth
from stackctl.report.words import printable

WORTH_SHOWING = 0.25
"""Fills below this share are left out unless asked for."""


def diagnose_report(console: Console, found: Diagnosis, everything: bool = False) -> None:
    """Print what grows, what has been counted before, what is full, and the verdict."""
    head = f"{found.stack}: two samples, {found.seconds:.1f} s apart"
    console.print(Text(printable(head), "bold"))
    if found.growths:
        console.print(_growths(found.growths))
    fills = [f for f in found.fills if everything or f.nearly or f.share >= WORTH_SHOWING]
    if fills:
        console.print(_fills(fills))
    for clause in found.unread:
        console.print(Text(printable(f"not read: {clause}"), "yellow"))
    growing = sum(1 for growth in found.growths if growth.grew)
    full = sum(1 for fill in found.fills if fill.nearly)
    if growing or full:
        words = f"{growing} of the counters grow now, {full} limits are nearly full"
        console.print(Text(words, "bold red"))
        console.print("`stackctl limits KEY` explains a row, `stackctl verify` proves it")
    elif found.unread:
        console.print(Text("not all of it could be read: see above", "bold yellow"))
    else:
        fullest = found.fills[0] if found.fills else None
        words = (
            f"; the fullest is {fullest.name} on {fullest.where}, {_percent(fullest)}"
            if (fullest)
            else ""
        )
        console.print(Text(f"nothing is being refused, and nothing is full{words}", "bold green"))


def _growths(growths: tuple[Growth, ...]) -> Table:
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for column in ("counter", "on", "so far", "a second", "means", "points at"):
        right = column in {"so far", "a second"}
        table.add_column(column, justify="right" if right else "left", overflow="fold")
    for growth in growths:
        table.add_row(
            Text(printable(growth.name)),
            growth.where,
            str(growth.total),
            f"{growth.per_second:.1f}" if growth.grew else "-",
            growth.means,
            ", ".join(growth.limits) or "-",
            style="bold red" if growth.grew else "",
        )
    return table


def _fills(fills: list[Fill]) -> Table:
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for column in ("in use", "on", "now", "of", "", "at the limit", "set by"):
        right = column in {"now", "of", ""}
        table.add_column(column, justify="right" if right else "left", overflow="fold")
    for fill in fills:
        table.add_row(
            fill.name,
            fill.where,
            str(fill.used),
            str(fill.of),
            _percent(fill),
            fill.means,
            ", ".join(fill.limits) or "-",
            style="bold red" if fill.nearly else "",
        )
    return table


def _percent(fill: Fill) -> str:
    return f"{fill.share:.0%}"


def diagnose_document(found: Diagnosis) -> dict[str, Any]:
    """The object of `diagnose --json`."""
    return {
        "stack": found.stack,
        "seconds": round(found.seconds, 3),
        "counters": [asdict(growth) for growth in found.growths],
        "fills": [
            {**asdict(f), "share": round(f.share, 4), "nearly": f.nearly} for f in found.fills
        ],
        "unread": list(found.unread),
        "exit": int(found.exit_status),
    }
