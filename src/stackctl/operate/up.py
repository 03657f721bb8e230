"""stack.yaml → running stack, and its removal."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

from stackctl.engine import Compose, Engine
from stackctl.limits.targets import HAPROXY
from stackctl.observe.look import facts_of, look
from stackctl.operate.prove import SETTLING, Proof, prove
from stackctl.operate.refuse import (
    refuse_namesake,
    refuse_other_machine,
    refuse_taken_port,
    refuse_unprepared,
    state_folder,
)
from stackctl.operate.sources import ensure, resolve
from stackctl.operate.start import start
from stackctl.operate.write import write_tree
from stackctl.plan import make_plan
from stackctl.plan.ports import HAPROXY_GRACE_SECONDS, TELEMT_GRACE_SECONDS
from stackctl.render import MODES, render
from stackctl.spec import Secrets, Stack

Progress = Callable[[str], None]


def up(stack: Stack, secrets: Secrets, engine: Engine, progress: Progress) -> Proof:
    """Build what is missing, plan against this host, render, start, and verify.

    Raises:
        StrictError: strict mode, and a limit cannot be granted; nothing was started.
        PlanError: the port is taken, or the topology cannot carry its connections.
        EngineError: the engine failed; the message says what is left.
    """
    refuse_namesake(stack, engine, "give this one another name, or stop that one first")
    sources = resolve(stack, engine, progress)
    ensure(stack, sources, engine, progress)
    progress("reading what this host can give")
    # Loading compose's client and asking for its version takes as long as the collector does.
    with ThreadPoolExecutor(max_workers=1) as pool:
        compose_client = pool.submit(Compose, state_folder(stack), stack.project)
        before = look(engine, stack, clients=False)
    compose = compose_client.result()
    refuse_other_machine(before)
    plan = make_plan(stack, facts_of(before, engine, stack.name), sources)
    refuse_taken_port(plan, before, engine)
    refuse_unprepared(plan, before)
    write_tree(state_folder(stack), render(plan, secrets), MODES)
    count = len(plan.replicas) + 1 + bool(plan.datacentre)
    progress(f"starting {count} containers and waiting for their health checks")
    start(compose, engine, plan.name, progress)
    progress("verifying")
    return prove(stack, engine, sources, SETTLING)


def down(
    stack: Stack,
    engine: Engine,
    progress: Progress,
    *,
    force: bool = False,
    volumes: bool = False,
) -> tuple[str, ...]:
    """Stop gracefully, then remove every container, network and volume by the stack's label.

    The replicas' state, such as quotas, stays unless `volumes` is set.

    Args:
        stack: its file.
        engine: where it runs.
        progress: gets lines about what is being done.
        force: also a stack of this name that was started from another folder.
        volumes: also the replicas' state.

    Returns:
        what was removed.

    Raises:
        StackError: the stack was started from another folder.
    """
    if not force:
        refuse_namesake(stack, engine, "run `stackctl down` there, or give --force")
    containers = engine.containers(stack.name)
    running = [c for c in containers if c.pid]
    if running:
        progress(f"stopping {len(running)} containers")
    # HAProxy stops first, so that its clients see a close and not a failing replica.
    engine.stop([c for c in running if c.target == HAPROXY], HAPROXY_GRACE_SECONDS)
    engine.stop([c for c in running if c.target != HAPROXY], TELEMT_GRACE_SECONDS)
    return engine.remove_stack(stack.name, state=volumes)
