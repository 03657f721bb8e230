"""Handshakes through a stack, for people and machines."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from stackctl.report.words import TELEMT_WORDS, printable

if TYPE_CHECKING:
    from stackctl.handshake.cause import Cause
    from stackctl.handshake.stack import Probed
    from stackctl.handshake.stack_records import StackHandshake

SHOWN = 8
"""Pieces of evidence shown for one cause."""

HOPS = ("connect", "proxy", "tls", "answer")


def probe_report(console: Console, probed: Probed) -> None:
    """Print a line for each handshake, then each cause once: whom it hits, and the remedy."""
    style = "bold yellow" if probed.telemt == "double" else ""
    console.print(Text(f"{probed.stack}: {len(probed.handshakes)} handshakes", "bold"))
    console.print(Text(f"telemt: {TELEMT_WORDS.get(probed.telemt, 'unknown')}", style))
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for column in ("through", "user", "mode", "served by"):
        table.add_column(column)
    for column in ("TCP", "PROXY", "fake TLS", "answer"):
        table.add_column(column, justify="right", no_wrap=True)
    table.add_column("own address")
    table.add_column("")
    for one in probed.handshakes:
        table.add_row(one.place, one.user, one.mode, one.server or "-", *_hops(one), *_ending(one))
    console.print(table)
    for (word, remedy), seen in _causes(probed).items():
        console.print(Text(word, "bold red"))
        for because, hit in seen[:SHOWN]:
            console.print(Text(printable(f"  {hit}: {because}")))
        if len(seen) > SHOWN:
            console.print(Text(f"  and {len(seen) - SHOWN} more: --json has them all"))
        console.print(Text(f"  do: {remedy}"))
    good = sum(not one.cause for one in probed.handshakes)
    console.print(Text(f"{good} of {len(probed.handshakes)} handshakes succeeded", "bold"))


def _hops(one: StackHandshake) -> list[Text]:
    passed = {hop.hop: hop.ms for hop in one.hops}
    cells = []
    for name in HOPS:
        if name in passed:
            cells.append(Text(f"{passed[name]:.1f} ms"))
        else:
            cells.append(Text("failed", "bold red") if name == one.ended else Text("-"))
    return cells


def _ending(one: StackHandshake) -> tuple[Text, Text]:
    words = {True: "seen", False: "NOT seen", None: "-"}
    verdict = Text(one.word, "bold red" if one.cause else "green")
    return Text(words[one.arrived], "bold red" if one.arrived is False else ""), verdict


def _causes(probed: Probed) -> dict[tuple[str, str], list[tuple[str, str]]]:
    """By cause and remedy: each piece of evidence, and the handshakes that show it."""
    found: dict[tuple[str, str], dict[str, list[str]]] = {}
    for one in probed.handshakes:
        if one.cause:
            evidence = found.setdefault((one.cause.word, one.cause.remedy), {})
            whose = f"{one.user} {one.mode} at {one.place}"
            evidence.setdefault(one.cause.because, []).append(whose)
    causes = {
        key: [(because, ", ".join(whose)) for because, whose in evidence.items()]
        for key, evidence in found.items()
    }
    if clock := probed.clock:
        causes[clock.word, clock.remedy] = [(clock.because, "links of mode tls")]
    return causes


def probe_document(probed: Probed) -> dict[str, Any]:
    """The object of `probe --json`."""
    return {
        "stack": probed.stack,
        "telemt": probed.telemt,
        "handshakes": [
            {
                "place": one.place,
                "user": one.user,
                "mode": one.mode,
                "server": one.server,
                "ms": {hop.hop: hop.ms for hop in one.hops},
                "ended": one.ended,
                "seen": one.seen,
                "own_address": one.arrived,
                "arrival": one.arrival,
                "cause": _cause(one.cause),
            }
            for one in probed.handshakes
        ],
        "clock": {"ahead_seconds": round(probed.ahead, 1), "cause": _cause(probed.clock)},
        "exit": int(probed.exit_status),
    }


def _cause(cause: Cause | None) -> dict[str, str] | None:
    if cause is None:
        return None
    return {"word": cause.word, "because": cause.because, "remedy": cause.remedy}
