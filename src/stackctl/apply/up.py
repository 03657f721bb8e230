"""stack.yaml → running stack, and away again."""

from __future__ import annotations

import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from stackctl.apply.sources import ensure, resolve
from stackctl.apply.write import write_tree
from stackctl.engine import WORKDIR_LABEL, Compose, Engine
from stackctl.errors import EngineError, PlanError, StackError, StrictError
from stackctl.limits.rows import PREPARE_HOST
from stackctl.observe.collect import look
from stackctl.observe.facts import host_facts, listening_ports
from stackctl.observe.haproxy import servers
from stackctl.observe.model import Snapshot
from stackctl.observe.readers import observations
from stackctl.plan import HAPROXY, HOST, Plan, Sources, make_plan
from stackctl.plan.ports import HAPROXY_GRACE_SECONDS, TELEMT_GRACE_SECONDS
from stackctl.render import MODES, render
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
    _refuse_namesake(stack, engine, "give this one another name, or take that one down first")
    sources = resolve(stack, engine, progress)
    ensure(stack, sources, engine, progress)
    progress("reading what this host can give")
    # Loading compose's client and asking for its version take as long as the probe: side by side.
    with ThreadPoolExecutor(max_workers=1) as pool:
        compose_client = pool.submit(Compose, state_folder(stack), stack.project)
        before = look(engine, stack, clients=False)
    compose = compose_client.result()
    refuse_other_machine(before)
    plan = make_plan(stack, host_facts(before, engine, stack.name), sources)
    _refuse_taken_port(plan, before, engine)
    refuse_unprepared(plan, before)
    write_tree(state_folder(stack), render(plan, secrets), MODES)
    progress(f"starting {len(plan.replicas) + 1} containers and waiting for their health checks")
    compose.up()
    progress("verifying")
    return prove(stack, engine, sources, SETTLING)


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
    facts = host_facts(snapshot, engine, stack.name)
    plan = make_plan(stack, facts, sources, starting=False)
    return Proof(plan, verify(plan, observations(snapshot, plan.requirements)))


def _settled(snapshot: Snapshot) -> bool:
    # Both: a replica that was down has to pass more than one check before clients reach it.
    up = [
        row.get("check_status") == "L7OK" and row.get("status", "").startswith("UP")
        for row in servers(snapshot).values()
    ]
    # None at all is HAProxy not answering yet.
    return bool(up) and all(up)


def down(stack: Stack, engine: Engine, progress: Progress, force: bool = False) -> tuple[str, ...]:
    """Stop gracefully, then remove every container, network and volume by the stack's label.

    Args:
        stack: its file.
        engine: where it runs.
        progress: told what is going on.
        force: also a stack of this name that was started from another folder.

    Returns:
        what was removed.

    Raises:
        StackError: the stack was started from another folder.
    """
    if not force:
        _refuse_namesake(stack, engine, "take it down there, or give --force")
    containers = engine.containers(stack.name)
    running = [c for c in containers if c.pid]
    if running:
        progress(f"stopping {len(running)} containers")
    # HAProxy first: its clients see it close, and not a replica fail.
    engine.stop([c for c in running if c.target == HAPROXY], HAPROXY_GRACE_SECONDS)
    engine.stop([c for c in running if c.target != HAPROXY], TELEMT_GRACE_SECONDS)
    return engine.remove_stack(stack.name)


def _refuse_namesake(stack: Stack, engine: Engine, remedy: str) -> None:
    """Two stack files of one name would take each other's containers."""
    mine = state_folder(stack).resolve()
    for container in engine.containers(stack.name):
        theirs = container.labels.get(WORKDIR_LABEL, "")
        if theirs and Path(theirs).resolve() != mine:
            raise StackError(
                f"name: another stack called {stack.name!r} runs on this engine, from {theirs}",
                remedy,
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


def refuse_other_machine(before: Snapshot) -> None:
    """Containers mount the rendered folder, so it has to be on the engine's own machine.

    Raises:
        EngineError: the engine runs on another machine, or in a virtual one.
    """
    theirs = str(before.facts["boot_id"].get("text", "")).strip()
    mine = Path("/proc/sys/kernel/random/boot_id")
    if not theirs or not mine.exists() or mine.read_text().strip() != theirs:
        raise EngineError(
            "the engine runs on another machine, which does not have the rendered files",
            "`stackctl render -o DIR`, copy DIR there, and run `docker compose up -d --wait` in it",
        )


def refuse_unprepared(plan: Plan, before: Snapshot) -> None:
    """Strict: host rows are looked at before anything is started.

    Raises:
        StrictError: the host is short of one; nothing was started.
    """
    if plan.mode != "strict":
        return
    host = tuple(r for r in plan.requirements if r.target == HOST)
    seen = observations(before, host)
    found = [judge(r, seen[(r.target, r.limit)]) for r in host]
    short = [f for f in found if f.verdict in {Verdict.SHORT, Verdict.ERROR}]
    if short:
        raise StrictError(
            "strict mode: nothing was started; the host is short of\n  "
            + "\n  ".join(sentence(f) for f in short),
            f"{PREPARE_HOST}; or `limits.mode: fit` (--fit)",
        )
