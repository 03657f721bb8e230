"""Words that all reports for people share."""

from __future__ import annotations

import re
from collections.abc import Iterable

from rich.console import Console
from rich.text import Text

from stackctl.limits import Value
from stackctl.limits.values import compact
from stackctl.plan import Plan

TELEMT_WORDS = {
    "double": "the lab DOUBLE (not Telemt; for labs and tests only)",
    "binary": "a Telemt binary given by the operator",
    "official": "Telemt, official image",
}


def targets(names: Iterable[str]) -> str:
    """Names joined, numbered runs shortened: telemt-1, telemt-2, telemt-3 → telemt-1..3."""
    runs: dict[str, list[int]] = {}
    for name in names:
        match = re.fullmatch(r"(.*-)(\d+)", name)
        if match:
            runs.setdefault(match[1], []).append(int(match[2]))
        else:
            runs.setdefault(name, [])
    return ", ".join(f"{stem}{_spans(numbers)}" for stem, numbers in runs.items())


def _spans(numbers: list[int]) -> str:
    spans: list[list[int]] = []
    for number in sorted(numbers):
        if spans and number == spans[-1][1] + 1:
            spans[-1][1] = number
        else:
            spans.append([number, number])
    return ",".join(str(a) if a == b else f"{a}..{b}" for a, b in spans)


def shown(value: Value | None) -> str:
    """A value for people; "-" where nothing could be read."""
    return "-" if value is None else compact(value)


def heading(console: Console, plan: Plan) -> None:
    """Print which stack this is, and what runs in it."""
    console.print(
        Text(
            f"{plan.name}: {plan.connections} connections, {len(plan.replicas)} replicas, "
            f"network {plan.network}, {plan.link} links, {plan.mode}",
            "bold",
        )
    )
    style = "bold yellow" if plan.sources.telemt == "double" else ""
    console.print(Text(f"telemt: {TELEMT_WORDS[plan.sources.telemt]}", style))


def printable(text: str) -> str:
    """Text with control characters replaced: evidence comes from logs and programs."""
    return "".join(c if c.isprintable() or c == "\n" else "\ufffd" for c in text)
