"""Results of a load: its tally, and the kernel's, HAProxy's and memory's numbers. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from stackctl.checks.finding import LimitFinding
from stackctl.errors import Exit
from stackctl.limits import Role
from stackctl.observe.signs import Movement, movements
from stackctl.traffic.model import LoadPlan
from stackctl.traffic.moment import Moment, Space
from stackctl.traffic.run import Outcome

MACHINE_GAUGES = ("file-nr.used", "sockstat.TCP.alloc", "sockstat.TCP.orphan", "sockstat.TCP.mem")
"""Gauges, read before the load, with all held, and after. These are of the whole machine, whichever
namespace's file shows them."""
GAUGES = ("sockstat.TCP.inuse", "sockstat.TCP.tw", "conntrack.entries")
"""Gauges that each namespace has for itself."""


@dataclass(frozen=True, slots=True)
class Gauge:
    """A number that rises and falls; None where it could not be read."""

    where: str
    name: str
    before: int | None
    held: int | None
    after: int | None


@dataclass(frozen=True, slots=True)
class Memory:
    """Memory of one place: all processes of a container, the whole machine, or the load itself.

    Attributes:
        before: bytes before the load.
        held: bytes with all held.
        each: bytes for each connection held.
    """

    where: str
    before: int
    held: int
    each: int


@dataclass(frozen=True, slots=True)
class LoadResult:
    """A load and its results.

    Attributes:
        stack: the stack's name.
        telemt: which Telemt ran.
        unread: what could not be read.
        findings: of every limit, just before the first connection; empty if not asked for.
    """

    stack: str
    telemt: str
    plan: LoadPlan
    outcome: Outcome
    movements: tuple[Movement, ...]
    gauges: tuple[Gauge, ...]
    memory: tuple[Memory, ...]
    unread: tuple[str, ...]
    findings: tuple[LimitFinding, ...] = ()

    @property
    def exit_status(self) -> Exit:
        """0 where every connection was opened and held and every round trip answered."""
        tally, wanted = self.outcome.tally, self.plan.load.connections
        whole = tally.opened == tally.held == wanted and not tally.trips_failed
        return Exit.OK if whole and not self.outcome.problems else Exit.SHORT


def all_movements(
    roles: Mapping[str, Role | None], link: str, before: Moment, after: Moment
) -> tuple[Movement, ...]:
    """The counters that moved anywhere, each with its rows.

    Args:
        roles: role whose rows count in each place; None for all roles, in a shared namespace.
        link: "unix" or "tcp".
        before: the first reading.
        after: the last.
    """
    return tuple(
        movement
        for where, role in roles.items()
        for movement in movements(
            where, role, link, before.counters.get(where, {}), after.counters.get(where, {})
        )
    )


def gauges(spaces: Sequence[Space], before: Moment, held: Moment, after: Moment) -> list[Gauge]:
    """Every gauge of every place, where any of the three moments has it."""
    found = []
    for space in spaces:
        for name in (*(MACHINE_GAUGES if space.role in {Role.HOST, None} else ()), *GAUGES):
            readings = [m.counters.get(space.where, {}).get(name) for m in (before, held, after)]
            if any(reading is not None for reading in readings):
                found.append(Gauge(space.where, name, *readings))
    return found


def memory_uses(before: Moment, held: Moment, own_bytes: int, connections: int) -> list[Memory]:
    """Memory that each place needed for each connection.

    Args:
        before: the reading before the load.
        held: the reading with all connections open.
        own_bytes: memory of the load's own processes.
        connections: how many were held at that moment.
    """
    if not connections:
        return []
    found = [
        Memory(where, was, held.memory[where], (held.memory[where] - was) // connections)
        for where, was in before.memory.items()
        if where in held.memory
    ]
    return [*found, Memory("load", 0, own_bytes, own_bytes // connections)]
