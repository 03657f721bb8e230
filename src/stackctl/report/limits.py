"""The limits table, explained."""

from __future__ import annotations

from difflib import get_close_matches
from typing import Any

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from stackctl.errors import SpecError
from stackctl.limits import TABLE, Limit
from stackctl.report.jsontext import plain
from stackctl.report.words import shown


def row(key: str) -> Limit:
    """The row of a key.

    Raises:
        SpecError: there is none; the nearest is named.
    """
    if key in TABLE:
        return TABLE[key]
    near = get_close_matches(key, TABLE, n=3, cutoff=0.4)
    raise SpecError(
        key,
        "no such limit",
        f"nearest: {', '.join(near)}" if near else "`stackctl limits` lists them all",
    )


def limits_report(console: Console) -> None:
    """Every row, one line each."""
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for column in ("limit", "guide", "wanted", "scope", "seen at", "why"):
        table.add_column(column, overflow="fold")
    for limit in TABLE.values():
        table.add_row(
            limit.key,
            limit.guide or "-",
            _wanted(limit),
            limit.scope.value,
            limit.depth.value,
            limit.why,
        )
    console.print(table)


def explain(console: Console, limit: Limit) -> None:
    """One row, whole."""
    console.print(Text(limit.key, "bold"))
    facts = [
        ("why", limit.why),
        ("guide", f"section {limit.section}: {limit.guide or 'silent'}"),
        ("wanted", f"{_wanted(limit)} ({limit.kind.value}, {limit.compare.value})"),
        ("departs", limit.departs),
        ("scope", f"{limit.scope.value}, on {', '.join(role.value for role in limit.on)}"),
        ("capped by", limit.ceiling),
        ("only for", f"{limit.link} links" if limit.link else ""),
    ]
    facts += [("set in", f"{s.place.value}: {s.text or s.where}") for s in limit.settings]
    facts += [("seen by", f"{r.reader.value} {r.arg} ({r.depth.value})") for r in limit.reads]
    facts.append(("if short", limit.remedy))
    for label, text in facts:
        if text:
            console.print(Text(f"  {label:10} {text}"))


def limits_document(key: str = "") -> dict[str, Any]:
    """The object of `limits --json`: all rows, or one."""
    chosen = [row(key)] if key else list(TABLE.values())
    return {
        "limits": [
            {
                "key": limit.key,
                "section": limit.section,
                "kind": limit.kind.value,
                "compare": limit.compare.value,
                "scope": limit.scope.value,
                "guide": limit.guide,
                "wanted": None if limit.wanted is None else plain(limit.wanted),
                "derived": limit.derive,
                "why": limit.why,
                "departs": limit.departs,
                "on": [role.value for role in limit.on],
                "set": [
                    {"place": s.place.value, "where": s.where, "text": s.text}
                    for s in limit.settings
                ],
                "seen": [
                    {"reader": r.reader.value, "arg": r.arg, "depth": r.depth.value}
                    for r in limit.reads
                ],
                "remedy": limit.remedy,
            }
            for limit in chosen
        ]
    }


def _wanted(limit: Limit) -> str:
    return f"from connections ({limit.derive})" if limit.derive else shown(limit.wanted)
