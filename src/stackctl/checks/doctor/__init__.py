"""Everything that keeps this host from carrying the stack's connections, one line each. Pure."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType

from stackctl.checks.doctor.capacity import capacity
from stackctl.checks.doctor.descriptors import descriptors, limits, nr_open
from stackctl.checks.doctor.engine import capability, compose, engine, restart, ulimits
from stackctl.checks.doctor.machine import cgroup, clock, kernel, memory
from stackctl.checks.doctor.model import Evidence, Lines, Problem, exit_status
from stackctl.checks.doctor.network import addresses, conntrack, ports
from stackctl.checks.doctor.security import security
from stackctl.checks.finding import Finding, Verdict
from stackctl.collector.answer import Unread
from stackctl.observe.observed import ParseError

__all__ = [
    "TOPICS",
    "Evidence",
    "Problem",
    "exit_status",
    "judge",
]

TOPICS: Mapping[str, Callable[[Evidence], Lines]] = MappingProxyType(
    {
        "engine": engine,
        "compose": compose,
        "kernel": kernel,
        "capability": capability,
        "nr_open": nr_open,
        "descriptors": descriptors,
        "ulimits": ulimits,
        "limits": limits,
        "memory": memory,
        "ports": ports,
        "addresses": addresses,
        "conntrack": conntrack,
        "capacity": capacity,
        "cgroup": cgroup,
        "clock": clock,
        "security": security,
        "restart": restart,
    }
)
"""The topics, in the order of the report."""

AGAIN = "run the command again; if it stays unknown, report this line"


def judge(seen: Evidence) -> tuple[Finding, ...]:
    """Every topic's lines, each topic at least one; what could not be read is unknown."""
    return tuple(line for topic in TOPICS for line in _lines(topic, seen))


def _lines(topic: str, seen: Evidence) -> list[Finding]:
    lines: list[Finding] = []
    try:
        for line in TOPICS[topic](seen):
            # One by one: lines before an unreadable value still count.
            lines.append(line)
    except (Unread, ParseError) as error:
        remedy = AGAIN
        if seen.engine:
            remedy = "see the line `engine`"
        elif seen.no_facts:
            remedy = seen.no_facts.remedy
        lines.append(Finding(topic, Verdict.ERROR, str(error), remedy))
    return lines or [Finding(topic, Verdict.ERROR, "the topic gave no line", AGAIN)]
