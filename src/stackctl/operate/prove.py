"""A running stack compared with its plan."""

from __future__ import annotations

import time
from dataclasses import dataclass

from stackctl.checks.finding import LimitFinding
from stackctl.checks.readers import observations
from stackctl.checks.verify import verify
from stackctl.engine import Engine
from stackctl.observe.haproxy import servers
from stackctl.observe.look import facts_of, look
from stackctl.observe.snapshot import Snapshot
from stackctl.plan import Plan, Sources, make_plan
from stackctl.spec import Stack

SETTLING = 15.0
"""Seconds after a start for HAProxy's health checks. They are spread over their interval, and a
check that met a restarting replica is repeated one interval later."""


@dataclass(frozen=True, slots=True)
class Proof:
    """A running stack as it was found: the plan it was compared with, and every finding."""

    plan: Plan
    findings: tuple[LimitFinding, ...]


def prove(stack: Stack, engine: Engine, sources: Sources, patience: float = 0.0) -> Proof:
    """Look at the running stack and compare it with its plan.

    Args:
        stack: its file.
        engine: where it runs.
        sources: which images run.
        patience: how many seconds to look again while HAProxy has not found every replica up: its
            health checks follow a start by some seconds.
    """
    end = time.monotonic() + patience
    snapshot = look(engine, stack)
    while not _settled(snapshot) and time.monotonic() < end:
        time.sleep(0.3)
        snapshot = look(engine, stack)
    facts = facts_of(snapshot, engine, stack.name)
    plan = make_plan(stack, facts, sources, starting=False)
    return Proof(plan, verify(plan, observations(snapshot, plan.requirements)))


def _settled(snapshot: Snapshot) -> bool:
    # Check and status: a replica that was down has to pass several checks before it gets clients.
    up = [
        row.get("check_status") == "L7OK" and row.get("status", "").startswith("UP")
        for row in servers(snapshot).values()
    ]
    # No rows at all mean that HAProxy does not answer yet.
    return bool(up) and all(up)
