"""Findings that say the same of several targets, as one line for people."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from stackctl.checks.finding import LimitFinding, Verdict
from stackctl.report.words import targets


@dataclass(frozen=True, slots=True)
class Line:
    """One line of the report: a finding, and every target that shows the same."""

    finding: LimitFinding
    targets: str


def lines(findings: Sequence[LimitFinding]) -> list[Line]:
    """Findings grouped by limit, wanted, got, verdict and depth, in first-seen order.

    What could not be read is one line for each cause.
    """
    groups: dict[tuple[object, ...], list[LimitFinding]] = {}
    for f in findings:
        cause = f.evidence if f.verdict is Verdict.ERROR else ""
        groups.setdefault((f.limit, f.wanted, f.got, f.verdict, f.depth, cause), []).append(f)
    return [Line(group[0], targets(f.target for f in group)) for group in groups.values()]
