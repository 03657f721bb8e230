"""How many connections the stack holds on this host, and which limit it meets first."""

from __future__ import annotations

from stackctl.checks.doctor.model import Evidence, Lines
from stackctl.checks.finding import Finding, Verdict
from stackctl.collector.answer import Unread
from stackctl.plan.carry import remedy
from stackctl.plan.predict import MEMORY


def capacity(seen: Evidence) -> Lines:
    """How many connections the limits here allow, the first limit, and the next higher one."""
    if seen.host is None or seen.plan is None:
        raise Unread(f"how many connections the stack holds is not known: {seen.because}")
    low, *others = seen.plan.ceilings
    after = next((c for c in others if c.holds > low.holds), None)
    says = f"holds {low.holds:,} connections; first limit: {low.limit} of {low.where}"
    if after:
        says += f", then {after.limit} of {after.where} at {after.holds:,}"
    if low.holds >= seen.stack.connections:
        yield Finding("capacity", Verdict.OK, says)
        return
    # The bound on memory is a rule of thumb; the kernel does not stop there.
    verdict = Verdict.ADVICE if low.limit == MEMORY else Verdict.SHORT
    yield Finding("capacity", verdict, says, remedy(seen.stack, low))
