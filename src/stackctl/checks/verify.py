"""Requirement + observations → finding. Pure: it opens nothing and decides nothing else.

A value that could not be read is an error, never ok. Every requirement gives exactly one finding.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from stackctl.checks.finding import LimitFinding, Verdict
from stackctl.limits import TABLE, Compare, Limit, Read, Value
from stackctl.limits.values import compact, satisfies
from stackctl.observe.observed import Observed
from stackctl.plan import Plan, Requirement

Observations = Mapping[tuple[str, str], Sequence[Observed]]
"""By (target, limit): one Observed for each of the limit's reads, in their order."""


def verify(plan: Plan, observations: Observations) -> tuple[LimitFinding, ...]:
    """One finding for each requirement of the plan, in its order."""
    return tuple(
        judge(requirement, observations.get((requirement.target, requirement.limit), ()))
        for requirement in plan.requirements
    )


def judge(requirement: Requirement, observed: Sequence[Observed]) -> LimitFinding:
    """The finding of one requirement.

    Args:
        requirement: what is wanted.
        observed: what each read of its limit saw, in the table's order.
    """
    limit = TABLE[requirement.limit]
    if len(observed) != len(limit.reads):
        return _finding(
            requirement,
            limit.reads[-1],
            None,
            Verdict.ERROR,
            f"{len(observed)} of {len(limit.reads)} readings were made",
        )
    pairs = list(zip(limit.reads, observed, strict=True))
    evidence = "; ".join(seen.source or seen.error for _, seen in pairs)
    for read, seen in pairs:
        if seen.error or seen.got is None:
            verdict = Verdict.SKIPPED if requirement.left else Verdict.ERROR
            return _finding(requirement, read, None, verdict, seen.error or "nothing was read")
    for read, seen in pairs:
        if not _in_force(limit, requirement, read, seen, observed[0].got):
            verdict = Verdict.SKIPPED if requirement.left else Verdict.SHORT
            return _finding(requirement, read, seen.got, verdict, evidence, seen.remedy)
    read, seen = pairs[-1]
    verdict = Verdict.FITTED if requirement.fitted else Verdict.OK
    # The finding shows the whole value, not one part of it.
    whole = next((s.got for r, s in reversed(pairs) if r.part is None and not r.compare), seen.got)
    return _finding(requirement, read, whole, verdict, evidence)


def _in_force(
    limit: Limit, requirement: Requirement, read: Read, seen: Observed, first: Value | None
) -> bool:
    compare = read.compare or limit.compare
    wanted = requirement.wanted
    if compare is Compare.WITHIN and first is not None:
        # A range wider than wanted is fine; the values in use may then lie outside the wanted one.
        wanted = first
    if read.part is not None and isinstance(wanted, tuple):
        wanted = wanted[read.part]
    return seen.got is not None and satisfies(compare, seen.got, wanted)


def _finding(
    requirement: Requirement,
    read: Read,
    got: Value | None,
    verdict: Verdict,
    evidence: str,
    remedy: str = "",
) -> LimitFinding:
    reasons = {Verdict.FITTED: requirement.fitted, Verdict.SKIPPED: requirement.left}
    return LimitFinding(
        about=requirement.limit,
        target=requirement.target,
        wanted=requirement.wanted,
        got=got,
        verdict=verdict,
        depth=read.depth,
        evidence=evidence,
        reason=reasons.get(verdict, ""),
        remedy=""
        if verdict is Verdict.OK
        else requirement.way_out or remedy or TABLE[requirement.limit].remedy,
    )


def sentence(finding: LimitFinding) -> str:
    """A finding as one line for a log or a terminal without a table."""
    got = "unknown" if finding.got is None else compact(finding.got)
    return (
        f"{finding.verdict.value:8} {finding.target:18} {finding.about}: wanted "
        f"{compact(finding.wanted)}, got {got} ({finding.depth.value})"
    )
