"""A load's result for people and machines."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from stackctl.report.document import findings_document
from stackctl.report.words import TELEMT_WORDS, printable
from stackctl.traffic.causes import cause_sign
from stackctl.traffic.histogram import Histogram
from stackctl.traffic.model import LATE_MICROSECONDS
from stackctl.traffic.result import LoadResult

SHARES = {"p50": 0.5, "p90": 0.9, "p99": 0.99}


def load_report(console: Console, result: LoadResult) -> None:
    """Print what was opened and held, what failed and why, and which counters moved."""
    load, tally = result.plan.load, result.outcome.tally
    head = f"{result.stack}: {load.connections} connections asked for, handshake {load.handshake}"
    console.print(Text(head, "bold"))
    console.print(Text(f"telemt: {TELEMT_WORDS.get(result.telemt, 'unknown')}"))
    _line(console, "opened", _of(tally.opened, load.connections))
    _line(console, "late", f"{tally.late} (over {LATE_MICROSECONDS // 1000} ms)", not tally.late)
    _line(console, "held", _of(tally.held, load.connections) + f" after {load.hold:g} s")
    _line(console, "connect", _times(tally.connect) + f", all in {tally.opening:.1f} s")
    if load.bytes:
        failed = sum(tally.trips_failed.values())
        words = f"{tally.trips.count} while held, {_times(tally.trips)}, {failed} failed"
        _line(console, "round trips", words, not failed)
    for what, counts in (
        ("failed", tally.failed),
        ("lost while held", tally.lost),
        ("round trip failed", tally.trips_failed),
    ):
        _causes(console, what, counts)
    for problem in result.outcome.problems:
        console.print(Text(printable(problem), "bold red"))
    _memory(console, result)
    _gauges(console, result)
    _movements(console, result)
    for clause in result.unread:
        console.print(Text(printable(f"not read: {clause}"), "yellow"))
    good = not int(result.exit_status)
    verdict = "all opened, and held" if good else "not all were opened and held"
    console.print(Text(verdict, "bold green" if good else "bold red"))


def _line(console: Console, name: str, words: str, good: bool = True) -> None:
    console.print(Text(f"  {name:12} {words}", "" if good else "yellow"))


def _of(number: int, wanted: int) -> str:
    return f"{number} of {wanted}"


def _times(times: Histogram) -> str:
    if not times.count:
        return "none"
    parts = [f"{name} {times.percentile(s) / 1000:.1f} ms" for name, s in SHARES.items()]
    return ", ".join([*parts, f"max {times.highest / 1000:.1f} ms"])


def _causes(console: Console, what: str, counts: Mapping[str, int]) -> None:
    for cause, number in sorted(counts.items(), key=lambda item: -item[1]):
        sign = cause_sign(cause)
        rows = f"; see {', '.join(sign.limits)}" if sign.limits else ""
        words = printable(f"  {what}: {number} {cause}: {sign.means}{rows}")
        console.print(Text(words, "bold red"))


def _memory(console: Console, result: LoadResult) -> None:
    if not result.memory:
        return
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for column in ("memory of", "before", "with all held", "each"):
        table.add_column(column, justify="left" if column == "memory of" else "right")
    for use in result.memory:
        table.add_row(
            use.where, f"{use.before >> 10} KiB", f"{use.held >> 10} KiB", f"{use.each} B"
        )
    console.print(table)


def _gauges(console: Console, result: LoadResult) -> None:
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for column in ("fill of", "in", "before", "held", "after"):
        table.add_column(
            column, justify="right" if column in {"before", "held", "after"} else "left"
        )
    for gauge in result.gauges:
        numbers = (gauge.before, gauge.held, gauge.after)
        table.add_row(gauge.name, gauge.where, *("-" if n is None else str(n) for n in numbers))
    console.print(table)


def _movements(console: Console, result: LoadResult) -> None:
    if not result.movements:
        console.print(Text("  no counter of a limit moved"))
        return
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for column in ("counter", "in", "by", "means", "points at"):
        table.add_column(column, justify="right" if column == "by" else "left", overflow="fold")
    for moved in result.movements:
        rows = ", ".join(moved.limits) or "-"
        table.add_row(moved.name, moved.where, str(moved.by), moved.means, rows)
    console.print(table)


def load_document(result: LoadResult) -> dict[str, Any]:
    """The object of `load --json`; times in milliseconds, memory in bytes."""
    plan, tally = result.plan, result.outcome.tally
    return {
        "stack": result.stack,
        "telemt": result.telemt,
        "target": {"host": plan.target.host, "port": plan.target.port},
        "asked": asdict(plan.load),
        "processes": len(plan.shares),
        "sources": len(plan.sources) or 1,
        "opened": tally.opened,
        "failed": _caused(tally.failed),
        "late": tally.late,
        "connect_ms": _milliseconds(tally.connect),
        "connect_steps_ms": [[end / 1000, number] for end, number in tally.connect.steps()],
        "opening_s": round(tally.opening, 3),
        "held": tally.held,
        "lost": _caused(tally.lost),
        "round_trips": tally.trips.count,
        "round_trips_failed": _caused(tally.trips_failed),
        "round_trip_ms": _milliseconds(tally.trips),
        "problems": list(result.outcome.problems),
        "memory": [asdict(use) for use in result.memory],
        "gauges": [asdict(gauge) for gauge in result.gauges],
        "findings": findings_document(result.findings),
        "counters": [asdict(moved) for moved in result.movements],
        "unread": list(result.unread),
        "curve": [list(point) for point in result.outcome.curve],
        "warnings": list(plan.warnings),
        "exit": int(result.exit_status),
    }


def _caused(counts: Mapping[str, int]) -> dict[str, Any]:
    return {
        cause: {
            "count": number,
            "means": cause_sign(cause).means,
            "limits": list(cause_sign(cause).limits),
        }
        for cause, number in counts.items()
    }


def _milliseconds(times: Histogram) -> dict[str, float] | None:
    if not times.count:
        return None
    found = {name: times.percentile(share) / 1000 for name, share in SHARES.items()}
    return {**found, "max": times.highest / 1000}
