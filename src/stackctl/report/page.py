"""A load as one HTML page that needs nothing else: verdict, charts, and the limits. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cache

import jinja2
from markupsafe import Markup

from stackctl.checks.finding import summary
from stackctl.report.chart import columns, curves
from stackctl.report.limitmarks import Row, limit_rows, reasons
from stackctl.report.words import TELEMT_WORDS, printable
from stackctl.traffic.causes import cause_sign
from stackctl.traffic.histogram import Histogram
from stackctl.traffic.model import LATE_MICROSECONDS
from stackctl.traffic.result import LoadResult

STEPS = (1, 1.5, 2, 3, 5, 7)
"""Ends of the histogram's bins in each decade. 900 ms replaces 1 s: above it is late."""

SHARES = {"half of them": 0.5, "9 of 10": 0.9, "99 of 100": 0.99}


@dataclass(frozen=True, slots=True)
class Line:
    """A sentence of the summary."""

    text: str
    bad: bool = False


@dataclass(frozen=True, slots=True)
class Column:
    """A heading; numbers stand to the right."""

    name: str
    number: bool = False


@dataclass(frozen=True, slots=True)
class Table:
    """A table below the charts."""

    title: str
    columns: tuple[Column, ...]
    rows: tuple[tuple[str, ...], ...]


@cache
def _environment() -> jinja2.Environment:
    """Every text is escaped; a missing name is an error, not an empty string."""
    return jinja2.Environment(
        loader=jinja2.PackageLoader("stackctl.report"),
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        autoescape=True,
        # Texts from programs and logs may hold anything.
        finalize=lambda value: printable(value) if type(value) is str else value,
    )


def load_page(result: LoadResult, when: datetime) -> str:
    """The page of `load --html`.

    Args:
        result: what the load showed.
        when: the load's end, with its time zone.

    Returns:
        HTML without script, link, font or picture from elsewhere.
    """
    good = not int(result.exit_status)
    rows = limit_rows(result)
    load = result.plan.load
    return (
        _environment()
        .get_template("load.html.j2")
        .render(
            good=good,
            word="HELD" if good else "NOT HELD",
            verdict=_verdict(result, good),
            name=result.stack,
            when=when.strftime("%Y-%m-%d %H:%M:%S %Z"),
            target=f"{result.plan.target.host}:{result.plan.target.port}",
            handshake=load.handshake,
            telemt=TELEMT_WORDS.get(result.telemt, "unknown"),
            words=_words(result),
            troubles=_troubles(result),
            curve=Markup(curve_chart(result)),  # noqa: S704 - pygal has escaped it
            times=Markup(times_chart(result)),  # noqa: S704
            rows=rows,
            limits_words=_limits_words(result, rows),
            reasons=reasons(result.findings),
            tables=[table for table in _tables(result) if table.rows],
            unread=result.unread,
            warnings=result.plan.warnings,
        )
    )


def curve_chart(result: LoadResult) -> str:
    """SVG of the connections held over time, with the number asked for."""
    curve, wanted = result.outcome.curve, result.plan.load.connections
    series: dict[str, Sequence[tuple[float, float]]] = {}
    if curve:
        # No connection was held when the clock started.
        series["held"] = [(0.0, 0), *curve]
        series["asked for"] = [(0.0, wanted), (curve[-1][0], wanted)]
    return curves(
        "Connections held",
        "seconds since the first connect",
        "connections",
        series,
        dashed={"asked for"},
    )


def times_chart(result: LoadResult) -> str:
    """SVG of how long connections took to open."""
    return columns(
        "Time from connect to the replica's answer",
        "milliseconds",
        "connections",
        binned(result.outcome.tally.connect.steps()),
    )


def binned(steps: Sequence[tuple[int, int]]) -> dict[str, int]:
    """Counts by bin, named in milliseconds, from the first bin that is not empty to the last.

    Args:
        steps: upper ends in microseconds, and how many; as a Histogram has them.
    """
    ends = [round(step * 10**decade) for decade in range(1, 11) for step in STEPS]
    ends = [LATE_MICROSECONDS if end == 1_000_000 else end for end in ends]
    counts = [0] * (len(ends) + 1)
    for time, number in steps:
        counts[next((i for i, end in enumerate(ends) if time <= end), len(ends))] += number
    held = [i for i, number in enumerate(counts) if number]
    if not held:
        return {}
    return {_bin(ends, i): counts[i] for i in range(held[0], held[-1] + 1)}


def _bin(ends: Sequence[int], index: int) -> str:
    if not index:
        return f"to {ends[0] / 1000:g}"
    if index == len(ends):
        return f"over {ends[-1] / 1000:,g}"
    return f"{ends[index - 1] / 1000:g} to {ends[index] / 1000:g}"


def _verdict(result: LoadResult, good: bool) -> str:
    load, tally = result.plan.load, result.outcome.tally
    if good:
        return f"all {load.connections:,} connections were opened and held for {load.hold:g} s"
    words = f"of {load.connections:,} connections {tally.opened:,} were opened"
    words += f" and {tally.held:,} were still there after {load.hold:g} s"
    trips = sum(tally.trips_failed.values())
    return f"{words}; {trips:,} round trips failed" if trips else words


def _words(result: LoadResult) -> list[Line]:
    load, tally = result.plan.load, result.outcome.tally
    failed, lost = sum(tally.failed.values()), sum(tally.lost.values())
    pace = "all at once" if load.burst else f"{load.rate:g} a second" if load.rate else "in turn"
    words = [
        Line(
            f"Opened: {tally.opened:,} of {load.connections:,}, {pace}, in {tally.opening:.1f} s."
        ),
        Line(f"Failed to open: {failed:,}.", bool(failed)),
        Line(
            f"Late, over {LATE_MICROSECONDS // 1000} ms: {tally.late:,}."
            + (
                " A dropped SYN is retransmitted after 1 s; otherwise the stack was that slow."
                if tally.late
                else ""
            ),
            bool(tally.late),
        ),
        Line(f"Held to the end: {tally.held:,}; lost before it: {lost:,}.", bool(lost)),
        Line(f"Time to the replica's answer: {_times(tally.connect)}."),
    ]
    if load.bytes:
        bad = sum(tally.trips_failed.values())
        trips = f"Round trips of {load.bytes:,} bytes while held: {tally.trips.count:,}"
        words.append(Line(f"{trips}, {bad:,} failed; {_times(tally.trips)}.", bool(bad)))
    machine = [use.each for use in result.memory if use.where == "machine"]
    if machine:
        words.append(Line(f"Memory of the whole machine: {machine[0]:,} bytes a connection."))
    return words


def _times(times: Histogram) -> str:
    if not times.count:
        return "none was measured"
    parts = [f"{name} within {times.percentile(s) / 1000:,.1f} ms" for name, s in SHARES.items()]
    return ", ".join([*parts, f"the slowest {times.highest / 1000:,.1f} ms"])


def _troubles(result: LoadResult) -> list[str]:
    tally = result.outcome.tally
    return [
        *_caused("failed to open", tally.failed),
        *_caused("lost while held", tally.lost),
        *_caused("round trips failed", tally.trips_failed),
        *result.outcome.problems,
    ]


def _caused(what: str, counts: Mapping[str, int]) -> list[str]:
    found = []
    for cause, number in sorted(counts.items(), key=lambda item: -item[1]):
        sign = cause_sign(cause)
        rows = f" Look at {', '.join(sign.limits)}." if sign.limits else ""
        found.append(f"{number:,} {what}, {cause}: {sign.means}.{rows}")
    return found


def _limits_words(result: LoadResult, rows: Sequence[Row]) -> str:
    counts = ", ".join(f"{n} {verdict}" for verdict, n in summary(result.findings).items() if n)
    marked = any(row.marks for row in rows)
    pointed = (
        "The limits that this load points at stand first, each with what points at it."
        if marked
        else "No counter and no failure of this load points at any limit."
    )
    return f"As verified just before the first connection: {counts}. {pointed}"


def _tables(result: LoadResult) -> list[Table]:
    return [
        Table(
            "Counters that moved",
            (
                *(Column("counter"), Column("in"), Column("by", True)),
                *(Column("means"), Column("points at")),
            ),
            tuple(
                (m.name, m.where, f"{m.by:,}", m.means, ", ".join(m.limits) or "-")
                for m in result.movements
            ),
        ),
        Table(
            "Memory",
            (
                *(Column("of"), Column("before, KiB", True), Column("with all held, KiB", True)),
                Column("bytes a connection", True),
            ),
            tuple(
                (use.where, f"{use.before >> 10:,}", f"{use.held >> 10:,}", f"{use.each:,}")
                for use in result.memory
            ),
        ),
        Table(
            "Fill",
            (
                *(Column("of"), Column("in"), Column("before", True), Column("held", True)),
                Column("after", True),
            ),
            tuple(
                (g.name, g.where, _count(g.before), _count(g.held), _count(g.after))
                for g in result.gauges
            ),
        ),
    ]


def _count(number: int | None) -> str:
    return "-" if number is None else f"{number:,}"
