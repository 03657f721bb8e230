"""The limits of a loaded stack, and the counters and failures that point at each. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from stackctl.checks.finding import LimitFinding, Verdict
from stackctl.report.group import lines
from stackctl.report.words import shown
from stackctl.traffic.causes import cause_sign
from stackctl.traffic.result import LoadResult

STYLES = {
    Verdict.OK: "good",
    Verdict.KEPT: "good",
    Verdict.FITTED: "warn",
    Verdict.SHORT: "bad",
    Verdict.ERROR: "bad",
    Verdict.SKIPPED: "soft",
}

_BAD = {Verdict.SHORT, Verdict.ERROR}


@dataclass(frozen=True, slots=True)
class Row:
    """One line of the table of limits.

    Attributes:
        on: the targets that show the same.
        style: "good", "warn", "bad" or "soft".
        marks: the counters, then the failures, that point at it; empty for most limits.
        note: the remedy where the limit is not in force, after why it could not be read, if so.
    """

    limit: str
    on: str
    wanted: str
    observed: str
    verdict: str
    style: str
    marks: tuple[str, ...]
    note: str


def limit_rows(result: LoadResult) -> tuple[Row, ...]:
    """The findings as lines: first what the load points at, then what is not in force."""
    marks = marked(result)
    groups: dict[tuple[str, ...], list[LimitFinding]] = {}
    for finding in result.findings:
        groups.setdefault(marks.get((finding.limit, finding.target), ()), []).append(finding)
    rows = [row for found, findings in groups.items() for row in _rows(findings, found)]
    # Sorting is stable: otherwise they stay in the limits table's order.
    return tuple(sorted(rows, key=lambda row: (not row.marks, row.style != "bad")))


def _rows(findings: Sequence[LimitFinding], marks: tuple[str, ...]) -> Iterator[Row]:
    for line in lines(findings):
        f = line.finding
        seen = f.evidence if f.verdict is Verdict.ERROR else ""
        yield Row(
            limit=f.limit,
            on=line.targets,
            wanted=shown(f.wanted),
            observed=shown(f.got),
            verdict=f.verdict.value,
            style=STYLES[f.verdict],
            marks=marks,
            note="; ".join(filter(None, (seen, f.remedy))) if f.verdict in _BAD else "",
        )


def reasons(findings: Sequence[LimitFinding]) -> tuple[str, ...]:
    """Why rows are fitted or skipped, each reason once with the number of its rows."""
    counted: dict[tuple[str, str], int] = {}
    for f in findings:
        if f.reason:
            why = (f.verdict.value, f.reason)
            counted[why] = counted.get(why, 0) + 1
    return tuple(f"{verdict}, {n}: {reason}" for (verdict, reason), n in counted.items())


def marked(result: LoadResult) -> dict[tuple[str, str], tuple[str, ...]]:
    """What points at each (limit, target); limits that nothing points at are missing.

    A counter points at the rows of its own place. Where that place has no row of the key, because
    places share a namespace, the counter points at all rows of the key. A client sees a failure
    from outside, so a failure points at the row in every place.
    """
    tally = result.outcome.tally
    found: dict[tuple[str, str], dict[str, None]] = {}
    for moved in result.movements:
        for key in moved.limits:
            everywhere = [f.target for f in result.findings if f.limit == key]
            there = [target for target in everywhere if moved.where in target.split("/")]
            for target in there or everywhere:
                words = f"{moved.name} +{moved.by:,} in {moved.where}"
                found.setdefault((key, target), {})[words] = None
    for cause, number in _causes(tally.failed, tally.lost, tally.trips_failed):
        for f in result.findings:
            if f.limit in cause_sign(cause).limits:
                words = f"{number:,} failures: {cause}"
                found.setdefault((f.limit, f.target), {})[words] = None
    return {place: tuple(words) for place, words in found.items()}


def _causes(*counts: Mapping[str, int]) -> Iterator[tuple[str, int]]:
    total: dict[str, int] = {}
    for counted in counts:
        for cause, number in counted.items():
            total[cause] = total.get(cause, 0) + number
    yield from total.items()
