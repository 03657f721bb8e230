"""Two samples → a diagnosis. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from stackctl.checks.diagnose.model import (
    CounterFinding,
    Diagnosis,
    FillFinding,
    counter_finding,
    fill_finding,
    unread_finding,
)
from stackctl.checks.diagnose.signs import FILLS
from stackctl.limits import Role
from stackctl.observe.signs import rows_on, sign_of

Readings = Mapping[str, int]


@dataclass(frozen=True, slots=True)
class Sample:
    """Everything read at one moment.

    Attributes:
        at: seconds of a clock that only goes forward.
        readings: numbers by place, then by name.
        unread: what could not be read, one clause each.
    """

    at: float
    readings: Mapping[str, Readings]
    unread: tuple[str, ...] = ()


def judge(
    stack: str, link: str, roles: Mapping[str, Role | None], first: Sample, second: Sample
) -> Diagnosis:
    """What grows, and what is nearly full.

    Args:
        stack: its name.
        link: "unix" or "tcp"; rows of other links are not pointed at.
        roles: role whose rows count in each place; None for all roles, in a shared namespace.
        first: the earlier sample.
        second: the later one; its totals and fills are shown.
    """
    seconds = max(second.at - first.at, 1e-3)
    counters = [
        counter
        for where, role in roles.items()
        for counter in _counters(where, role, link, first, second, seconds)
    ]
    fills = [fill for where, role in roles.items() for fill in _fills(where, role, link, second)]
    return Diagnosis(
        stack=stack,
        seconds=seconds,
        counters=tuple(sorted(counters, key=lambda counter: (-counter.grew, -counter.total))),
        fills=tuple(sorted(fills, key=lambda fill: -fill.share)),
        unread=tuple(map(unread_finding, dict.fromkeys((*first.unread, *second.unread)))),
    )


def _counters(
    where: str, role: Role | None, link: str, first: Sample, second: Sample, seconds: float
) -> Iterator[CounterFinding]:
    before, after = first.readings.get(where, {}), second.readings.get(where, {})
    for name, total in after.items():
        # Each class of refused clients is shown by itself: classes mean different things.
        sign = sign_of(name)
        if sign is None or not total:
            continue
        # A lower number means a new process or namespace, which counts from 0.
        had = before.get(name, 0)
        grew = total - had if total >= had else total
        rows = rows_on(sign.limits, role, link)
        yield counter_finding(where, name, total, grew, seconds, sign.means, rows)


def _fills(where: str, role: Role | None, link: str, sample: Sample) -> Iterator[FillFinding]:
    readings = sample.readings.get(where, {})
    for sign in FILLS:
        used = readings.get(sign.used)
        most = readings.get(sign.of) if sign.of else 0
        # A limit of 0 means none: HAProxy shows it for a proxy without a limit.
        if used is None or most is None or (sign.of and not most):
            continue
        rows = rows_on(sign.limits, role, link)
        yield fill_finding(where, sign.name, used, most, sign.means, rows)
