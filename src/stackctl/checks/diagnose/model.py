"""A diagnosis as data."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from stackctl.checks.finding import Finding, Verdict, exit_status
from stackctl.errors import Exit
from stackctl.limits import TABLE

NEARLY_FULL = 0.8
"""Above this share of a limit there is little time left to raise it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CounterFinding(Finding):
    """A counter of refusals that is not zero; `about` is its name, `target` is where it counts.

    Attributes:
        total: what it has counted since that network namespace or process began.
        grew: by how much between the two samples.
        per_second: the same, for each second.
        means: what it says when it grows.
        limits: keys of the rows of the limits table that it points at there.
    """

    total: int
    grew: int
    per_second: float
    means: str
    limits: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class FillFinding(Finding):
    """How much of a limit is in use; `about` says what is used, `target` where.

    Attributes:
        used: in its own unit: descriptors, entries, sockets, pages, connections.
        of: the limit in force; 0 where any use is too much.
        means: what happens at the limit.
        limits: keys of the rows of the limits table that set it.
    """

    used: int
    of: int
    means: str
    limits: tuple[str, ...]

    @property
    def share(self) -> float:
        """Share of the limit in use; 1.0 where any use is too much and there is some."""
        return _share(self.used, self.of)


@dataclass(frozen=True, slots=True)
class Diagnosis:
    """Two samples of a host and the stack on it.

    Attributes:
        stack: its name.
        seconds: between the samples.
        counters: counters that are not zero, those that grow first.
        fills: everything limited whose use could be read, the fullest first.
        unread: what could not be read.
    """

    stack: str
    seconds: float
    counters: tuple[CounterFinding, ...]
    fills: tuple[FillFinding, ...]
    unread: tuple[Finding, ...]

    @property
    def findings(self) -> tuple[Finding, ...]:
        """All of them."""
        return (*self.counters, *self.fills, *self.unread)

    @property
    def exit_status(self) -> Exit:
        """1 where a counter grows, a limit is nearly full, or something could not be read."""
        return exit_status(self.findings)


def counter_finding(
    target: str, name: str, total: int, grew: int, seconds: float, means: str, limits: Iterable[str]
) -> CounterFinding:
    """What a counter shows that stood at `total` after it grew by `grew` in `seconds`."""
    keys = tuple(limits)
    return CounterFinding(
        about=name,
        verdict=Verdict.SHORT if grew else Verdict.OK,
        evidence=f"{total} so far, {grew} of them in the last {seconds:.1f} s: {means}",
        remedy=_remedy(keys) if grew else "",
        target=target,
        total=total,
        grew=grew,
        per_second=grew / seconds,
        means=means,
        limits=keys,
    )


def fill_finding(
    target: str, name: str, used: int, of: int, means: str, limits: Iterable[str]
) -> FillFinding:
    """What is found of something limited of which `used` are in use."""
    keys = tuple(limits)
    nearly = _share(used, of) >= NEARLY_FULL
    return FillFinding(
        about=name,
        verdict=Verdict.SHORT if nearly else Verdict.OK,
        evidence=f"{used} of {of} in use; at the limit, {means}",
        remedy=_remedy(keys) if nearly else "",
        target=target,
        used=used,
        of=of,
        means=means,
        limits=keys,
    )


def unread_finding(clause: str) -> Finding:
    """What could not be read."""
    return Finding("collector", Verdict.ERROR, clause)


def _share(used: int, of: int) -> float:
    return used / of if of else float(used > 0)


def _remedy(keys: tuple[str, ...]) -> str:
    """What the likeliest row of the limits table says."""
    return TABLE[keys[0]].remedy if keys else ""
