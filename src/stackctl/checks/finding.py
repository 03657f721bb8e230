"""What every check gives: one finding for each thing, with a verdict; one exit rule. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum

from stackctl.errors import Exit
from stackctl.limits import Depth, Value


class Verdict(StrEnum):
    """What was found of one thing."""

    OK = "ok"
    KEPT = "kept"
    """The host had at least that much before it was prepared, and keeps it."""
    FITTED = "fitted"
    """In force, but lowered to what this engine can grant; below the guide."""
    ADVICE = "advice"
    """The stack can carry its connections; something could still be better."""
    SKIPPED = "skipped"
    """The host lacks it, and this stack leaves the host alone; the finding has the reason."""
    SHORT = "short"
    """Not in force, or too low for the stack's connections."""
    ERROR = "error"
    """It could not be observed."""


BAD = frozenset({Verdict.SHORT, Verdict.ERROR})
"""Verdicts that end a command with exit status 1."""


@dataclass(frozen=True, slots=True)
class Finding:
    """What one check found of one thing.

    Attributes:
        about: what was looked at: key of a limit, topic of `doctor`, or name of a counter.
        verdict: what that means.
        evidence: what was seen and where, in words.
        remedy: what to do; empty where nothing is to be done.
        target: what it was seen on: "host", "haproxy", "telemt-N", or a link between them.
    """

    about: str
    verdict: Verdict
    evidence: str
    remedy: str = ""
    target: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class LimitFinding(Finding):
    """What one requirement's target shows; `about` is the limit's key.

    Attributes:
        wanted: the value to be in force.
        got: the value that decided; None where nothing could be read.
        depth: how deep the deciding evidence reaches.
        reason: why it is fitted or skipped; empty for the other verdicts.
    """

    wanted: Value
    got: Value | None
    depth: Depth
    reason: str = ""

    @property
    def limit(self) -> str:
        """Key of the limit."""
        return self.about


OF_LIMITS = (
    Verdict.OK,
    Verdict.KEPT,
    Verdict.FITTED,
    Verdict.SHORT,
    Verdict.ERROR,
    Verdict.SKIPPED,
)
"""Verdicts that a requirement can have, in the order of the reports."""

OF_TOPICS = (Verdict.OK, Verdict.ADVICE, Verdict.SHORT, Verdict.ERROR)
"""Verdicts that a topic of `doctor` can have, in the order of the reports."""


def summary(findings: Sequence[Finding], verdicts: Iterable[Verdict] = OF_LIMITS) -> dict[str, int]:
    """How many findings of each of these verdicts, zeros included."""
    return {v.value: sum(finding.verdict is v for finding in findings) for v in verdicts}


def exit_status(findings: Sequence[Finding]) -> Exit:
    """0 where all is well; 1 where a finding is short or an error, or there is no finding."""
    if not findings or any(finding.verdict in BAD for finding in findings):
        return Exit.SHORT
    return Exit.OK
