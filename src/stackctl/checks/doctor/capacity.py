"""What all limits together come to on this host: the connections held, and what ends them."""

from __future__ import annotations

from stackctl.checks.doctor.model import Evidence, Lines
from stackctl.checks.finding import Finding, Verdict
from stackctl.collector.answer import Unread
from stackctl.plan.carry import remedy
from stackctl.plan.predict import MEMORY


def capacity(seen: Evidence) -> Lines:
    """The number this host's limits hold, which comes first, and which is the next of another."""
    if seen.host is None or seen.plan is None:
        raise Unread(f"what the stack holds here is not known, {seen.because}")
    low, *others = seen.plan.ceilings
    after = next((c for c in others if c.holds > low.holds), None)
    says = f"holds {low.holds:,} connections: {low.limit} of {low.where} comes first"
    if after:
        says += f", then {after.limit} of {after.where} at {after.holds:,}"
    if low.holds >= seen.stack.connections:
        yield Finding("capacity", Verdict.OK, says)
        return
    # How much memory connections may take is a rule of thumb, and not where the kernel stops.
    verdict = Verdict.ADVICE if low.limit == MEMORY else Verdict.SHORT
    yield Finding("capacity", verdict, says, remedy(seen.stack, low))
