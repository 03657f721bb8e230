"""stack.yaml → running stack, and away again."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from stackctl.apply.sources import ensure, resolve
from stackctl.apply.write import write_tree
from stackctl.engine import WORKDIR_LABEL, Compose, Engine
from stackctl.errors import EngineError, PlanError, StackError, StrictError
from stackctl.observe.collect import look
from stackctl.observe.facts import host_facts, listening_ports
from stackctl.observe.haproxy import servers
from stackctl.observe.model import Snapshot
from stackctl.observe.readers import observations
from stackctl.plan import HOST, Plan, Sources, make_plan
from stackctl.render import MODES, USERS_FILE, render
from stackctl.spec import Secrets, Stack
from stackctl.verify import Finding, Verdict, judge, sentence, verify

Progress = Callable[[str], None]

SETTLING = 15.0
"""Seconds after a start for HAProxy's checks: they are spread over their interval, and one that
met a restarting replica is repeated an interval later."""


@dataclass(frozen=True, slots=True)
class Proof:
    """A running stack as it was found: the plan it was held against and every finding."""

    plan: Plan
    findings: tuple[Finding, ...]


def state_folder(stack: Stack) -> Path:
    """Where `up` renders a stack: beside its stack.yaml, so that the file finds its stack."""
    return stack.source_dir / ".stackctl" / stack.name


def up(stack: Stack, secrets: Secrets, engine: Engine, progress: Progress) -> Proof:
    """Build what is missing, plan against this host, render, start, and verify.

    Raises:
        StrictError: strict mode and a limit cannot be had; nothing was started.
        PlanError: the port is taken, the topology cannot carry its number.
        EngineError: the engine failed; the message says what is left.
    """
    _refuse_namesake(stack, engine)
    sources = resolve(stack, engine, progress)
    ensure(stack, sources, engine, progress)
    progress("reading what this host can give")
    before = look(engine, stack)
    plan = make_plan(stack, host_facts(before, engine, stack.name), sources)
    _refuse_taken_port(plan, before, engine)
    if plan.mode == "strict":
        _refuse_unprepared(plan, before)
    changed = write_tree(state_folder(stack), render(plan, secrets), MODES)
    compose = Compose(state_folder(stack), plan.project)
    progress(f"starting {len(plan.replicas) + 1} containers and waiting for their health checks")
    compose.up()
    if USERS_FILE in changed:
        restart_replicas(engine, stack.name, compose, before)
    progress("verifying")
    return prove(stack, engine, sources, SETTLING)


def restart_replicas(engine: Engine, name: str, compose: Compose, before: Snapshot) -> None:
    """Restart replicas that ran before the users changed: compose does not look into files."""
    old = {target for target in before.targets if target.startswith("telemt-")}
    ids = [c for c in engine.containers(name) if c.target in old]
    for container in ids:
        engine.restart(container)
    if ids:
        compose.up()


def prove(stack: Stack, engine: Engine, sources: Sources, patience: float = 0.0) -> Proof:
    """Look at the running stack and hold it against its plan.

    Args:
        stack: its file.
        engine: where it runs.
        sources: which images run.
        patience: seconds to look again while HAProxy has yet to find a replica up: its own checks
            follow a start by some seconds.
    """
    end = time.monotonic() + patience
    snapshot = look(engine, stack)
    while not _settled(snapshot) and time.monotonic() < end:
        time.sleep(0.3)
        snapshot = look(engine, stack)
    plan = make_plan(stack, host_facts(snapshot, engine, stack.name), sources)
    return Proof(plan, verify(plan, observations(snapshot, plan.requirements)))


def _settled(snapshot: Snapshot) -> bool:
    # Both: a replica that was down has to pass more than one check before clients reach it.
    return all(
        row.get("check_status") == "L7OK" and row.get("status", "").startswith("UP")
        for row in servers(snapshot).values()
    )


def down(stack: Stack, engine: Engine, progress: Progress) -> tuple[str, ...]:
    """Stop gracefully, then remove every container, network and volume by the stack's label.

    Returns:
        what was removed after the graceful stop.
    """
    folder = state_folder(stack)
    containers = engine.containers(stack.name)
    if containers and (folder / "compose.yaml").is_file():
        progress(f"stopping {len(containers)} containers")
        try:
            Compose(folder, f"stackctl-{stack.name}").down()
        except EngineError as error:
            progress(str(error))
    removed = engine.remove_stack(stack.name)
    return tuple(f"container {c.name}" for c in containers if c.name not in str(removed)) + removed


def _refuse_namesake(stack: Stack, engine: Engine) -> None:
    """Two stack files of one name would take each other's containers."""
    mine = state_folder(stack).resolve()
    for container in engine.containers(stack.name):
        theirs = container.labels.get(WORKDIR_LABEL, "")
        if theirs and Path(theirs).resolve() != mine:
            raise StackError(
                f"name: another stack called {stack.name!r} runs on this engine, from {theirs}",
                "give this one another name, or take that one down first",
            )


def _refuse_taken_port(plan: Plan, before: Snapshot, engine: Engine) -> None:
    if engine.containers(plan.name):
        return
    if plan.listen_port in listening_ports(before, plan.listen_host):
        raise PlanError(
            "listen",
            f"port {plan.listen_port} is in use on this host",
            f"stop what listens there (`ss -ltnp 'sport = {plan.listen_port}'`), or choose another",
        )


def _refuse_unprepared(plan: Plan, before: Snapshot) -> None:
    """Strict: host rows are looked at before anything is started."""
    host = tuple(r for r in plan.requirements if r.target == HOST)
    seen = observations(before, host)
    found = [judge(r, seen[(r.target, r.limit)]) for r in host]
    short = [f for f in found if f.verdict in {Verdict.SHORT, Verdict.ERROR}]
    if short:
        raise StrictError(
            "strict mode: nothing was started; the host is short of\n  "
            + "\n  ".join(sentence(f) for f in short),
            "prepare the host: put the files of host/ from `stackctl render` in place; or "
            "`limits.mode: fit` (--fit)",
        )
