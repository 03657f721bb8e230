"""A load on a running stack, with everything read before, while held, and after."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

from stackctl.checks.readers import observations
from stackctl.checks.verify import verify
from stackctl.collector import process
from stackctl.collector.answer import Unread
from stackctl.engine import Container, Engine
from stackctl.errors import PlanError, StackNotRunningError
from stackctl.limits import Role
from stackctl.limits.targets import HAPROXY, HOST, role_of
from stackctl.observe.counters import haproxy_counters
from stackctl.observe.haproxy import servers
from stackctl.observe.look import facts_of, look, running_haproxy
from stackctl.observe.snapshot import Snapshot
from stackctl.observe.telemt import refused
from stackctl.plan import Plan, Sources, make_plan
from stackctl.spec import Secrets, Stack
from stackctl.traffic.machine import read_machine
from stackctl.traffic.model import Load, LoadPlan
from stackctl.traffic.moment import Moment, Space, read_moment
from stackctl.traffic.plan import plan_load
from stackctl.traffic.result import LoadResult, all_movements, gauges, memory_uses
from stackctl.traffic.run import Progress, run_load
from stackctl.traffic.target import check_bounds, check_may_be_loaded, client_secrets, target_of


def load_running_stack(
    stack: Stack,
    secrets: Secrets,
    engine: Engine,
    sources: Sources | None,
    load: Load,
    planned: Callable[[LoadPlan], None],
    each: Callable[[Progress], None],
    prove: bool = False,
) -> LoadResult:
    """Open, hold and close, and say what came of it; nothing of the load is left.

    Args:
        stack: its file.
        secrets: its users.
        engine: where it runs.
        sources: which images run; None where no stack does.
        load: what is asked.
        planned: called with what was decided, before the first connection.
        each: called now and then.
        prove: verify every limit first, as `verify` does.

    Raises:
        StackNotRunningError: it does not run.
        PlanError: it may not be loaded from here, or this machine cannot make the load.
    """
    containers = engine.containers(stack.name)
    check_is_here(running_haproxy(containers, stack.name), stack.name)
    if sources is None:
        raise StackNotRunningError(
            f"{stack.name}: its HAProxy does not say what it is", "start it anew: `stackctl up`"
        )
    snapshot = look(engine, stack, clients=prove, counters=not prove)
    facts = facts_of(snapshot, engine, stack.name)
    plan = make_plan(stack, facts, sources, starting=False)
    check_may_be_loaded(plan, load)
    target = target_of(stack, plan, engine.subnets().get(stack.name, ()))
    load_plan = plan_load(load, target, read_machine())
    check_bounds(plan, load, max(1, len(load_plan.sources)), len(secrets.users))
    findings = verify(plan, observations(snapshot, plan.requirements)) if prove else ()
    planned(load_plan)

    # The clients that `verify` makes are no part of what this load moves.
    start = look(engine, stack, clients=False, counters=True) if prove else snapshot
    spaces = _spaces(plan, containers)
    ids = {c.target: c.id for c in containers if c.pid}
    replicas = [c.target for c in containers if c.pid and c.is_replica]
    before = _with_probed(read_moment(spaces, ids), start, replicas)
    at_hold: list[Moment] = []
    outcome = run_load(
        load_plan,
        client_secrets(stack, secrets, load),
        each,
        lambda: at_hold.append(read_moment(spaces, ids)),
    )
    end = look(engine, stack, clients=False, counters=True)
    after = _with_probed(read_moment(spaces, ids), end, replicas)
    roles = {replica: role_of(replica) for replica in replicas} | {s.where: s.role for s in spaces}
    held = at_hold[0]
    tally = outcome.tally
    return LoadResult(
        stack=stack.name,
        telemt=sources.telemt,
        plan=load_plan,
        outcome=outcome,
        movements=all_movements(roles, plan.link, before, after),
        gauges=tuple(gauges(spaces, before, held, after)),
        memory=tuple(memory_uses(before, held, tally.own_bytes, tally.held_highest)),
        unread=tuple(dict.fromkeys((*before.unread, *held.unread, *after.unread))),
        findings=findings,
    )


def check_is_here(haproxy: Container, stack: str) -> None:
    """The stack must run on this very machine: a load counts and measures in its /proc.

    Raises:
        PlanError: it runs elsewhere.
    """
    if haproxy.id not in process.cgroups([haproxy.pid]).get(haproxy.pid, ""):
        raise PlanError(
            "the engine",
            f"runs {stack}'s HAProxy as process {haproxy.pid}, which is no process of this machine",
            "run this on the machine that runs the stack",
        )


def _spaces(plan: Plan, containers: Sequence[Container]) -> tuple[Space, ...]:
    """The host's namespace, and each container's where it has its own."""
    if plan.network == "host":
        return (Space(HOST, None, "self"),)
    own = tuple(
        Space(c.target, role_of(c.target), str(c.pid), c.id)
        for c in containers
        if c.pid and (c.target == HAPROXY or c.is_replica)
    )
    return (Space(HOST, Role.HOST, "self"), *own)


def _with_probed(moment: Moment, snapshot: Snapshot, replicas: Sequence[str]) -> Moment:
    """HAProxy's own counters, and the replicas', beside those of their namespaces."""
    counters = {where: dict(counted) for where, counted in moment.counters.items()}
    unread = list(moment.unread)
    where = HAPROXY if HAPROXY in counters else HOST
    counters[where] |= haproxy_counters(servers(snapshot))
    for replica in replicas:
        try:
            counters[replica] = counters.get(replica, {}) | refused(snapshot, replica)
        except Unread as problem:
            unread.append(f"{replica}: {problem}")
    return replace(moment, counters=counters, unread=tuple(unread))
