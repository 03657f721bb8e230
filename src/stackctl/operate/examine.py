"""The edge of `doctor`: ask compose, engine and collector, and continue where one is missing."""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

from stackctl.checks.doctor import Evidence, Problem
from stackctl.collector.answer import Host
from stackctl.engine import Engine, compose_version
from stackctl.errors import EngineError, PlanError, StackError, StrictError
from stackctl.limits.targets import HOST
from stackctl.observe.look import facts_of, local_host, look
from stackctl.observe.snapshot import ahead
from stackctl.operate.sources import ensure_collector
from stackctl.plan import HostFacts, Plan, make_plan, sizes_of
from stackctl.spec import Stack, with_mode

LONGEST = 400
"""Characters of another program's message that are shown."""

_COLOUR = re.compile(r"\x1b\[[0-9;]*m")

BOOT_ID = Path("/proc/sys/kernel/random/boot_id")


def examine(stack: Stack, progress: Callable[[str], None]) -> Evidence:
    """Everything that `doctor` looks at. It changes nothing, but may build the collector's image.

    A Problem stands for each part that could not be read; "no engine" is one of these.
    """
    # Compose takes as long to answer as the engine does, so both are asked side by side.
    with ThreadPoolExecutor(max_workers=1) as pool:
        asked = pool.submit(compose_version)
        seen = _planned(_machine(stack, progress))
        return _with_compose(seen, asked)


def _machine(stack: Stack, progress: Callable[[str], None]) -> Evidence:
    seen = Evidence(stack, sizes_of(stack, None))
    try:
        engine = Engine.connect()
        seen = replace(seen, about=engine.about, info=engine.info())
    except EngineError as error:
        problem = _problem(error)
        return replace(seen, engine=problem, no_facts=problem, facts=local_host())
    try:
        ensure_collector(engine, progress)
        progress("reading what this host can give")
        before = time.time()
        snapshot = look(engine, stack, clients=False)
        after = time.time()
        host = facts_of(snapshot, engine, stack.name)
    except StackError as error:
        return replace(seen, no_facts=_problem(error))
    return replace(
        seen,
        facts=snapshot.host,
        host=host,
        same_machine=same_machine(snapshot.host),
        ahead=ahead(snapshot, before, after),
    )


def same_machine(host: Host) -> bool | None:
    """Whether the facts are of the machine that stackctl runs on; None where that is unknown."""
    theirs = (host.boot_id.value or "").strip()
    try:
        return BOOT_ID.read_text().strip() == theirs if theirs else None
    except OSError:
        return False  # no Linux machine, so not the engine's


def _planned(seen: Evidence) -> Evidence:
    refusals, plan = plan_of(seen.stack, seen.host)
    return replace(seen, sizes=sizes_of(seen.stack, seen.host), refusals=refusals, plan=plan)


def plan_of(stack: Stack, host: HostFacts | None) -> tuple[tuple[Problem, ...], Plan | None]:
    """What `up` would refuse of this stack here, one sentence each, and the plan in spite of it."""
    try:
        return (), make_plan(stack, host)
    except StrictError:
        refusals = _strict(stack, host)
    except PlanError as error:
        refusals = (_problem(error),)
    try:
        return refusals, make_plan(stack, host, starting=False)
    except PlanError:
        return refusals, None


def _strict(stack: Stack, host: HostFacts | None) -> tuple[Problem, ...]:
    """What strict mode refuses, limit by limit: all that fit would lower or leave out."""
    lowered = make_plan(with_mode(stack, "fit"), host, starting=False).requirements
    found = {
        r.limit: Problem(f"strict mode refuses {r.limit}: {r.fitted or r.left}", r.way_out)
        for r in lowered
        if r.target != HOST and (r.fitted or r.left)
    }
    return tuple(found.values())


def _with_compose(seen: Evidence, asked: Future[tuple[str, tuple[str, ...]]]) -> Evidence:
    try:
        version, lacks = asked.result()
    except EngineError as error:
        return replace(seen, no_compose=_problem(error))
    return replace(seen, compose=version, compose_lacks=lacks)


def _problem(error: StackError) -> Problem:
    # The output of a failed build has line breaks and colours.
    words = " ".join(_COLOUR.sub("", error.message).split())
    return Problem(words if len(words) <= LONGEST else f"{words[:LONGEST]} ...", error.remedy)
