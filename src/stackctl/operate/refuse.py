"""What stackctl refuses before it starts or overwrites anything."""

from __future__ import annotations

from pathlib import Path

from stackctl.checks.finding import BAD
from stackctl.checks.readers import observations
from stackctl.checks.verify import judge, sentence
from stackctl.engine import WORKDIR_LABEL, Engine
from stackctl.errors import EngineError, PlanError, StackError, StrictError
from stackctl.limits.rows import PREPARE_HOST
from stackctl.limits.targets import HOST
from stackctl.observe.host import listening_ports
from stackctl.observe.snapshot import Snapshot
from stackctl.plan import Plan
from stackctl.spec import Stack


def state_folder(stack: Stack) -> Path:
    """Where `up` renders a stack: beside its stack.yaml, so that the file leads to the stack."""
    return stack.source_dir / ".stackctl" / stack.name


def refuse_namesake(stack: Stack, engine: Engine, remedy: str) -> None:
    """Refuse a name that another stack file uses: the two would replace each other's containers.

    Raises:
        StackError: a stack of this name runs from another folder.
    """
    mine = state_folder(stack).resolve()
    for container in engine.containers(stack.name):
        theirs = container.labels.get(WORKDIR_LABEL, "")
        if theirs and Path(theirs).resolve() != mine:
            raise StackError(
                f"name: another stack called {stack.name!r} runs on this engine, from {theirs}",
                remedy,
            )


def refuse_taken_port(plan: Plan, before: Snapshot, engine: Engine) -> None:
    """Refuse a client port that is in use; a stack that runs already keeps its own.

    Raises:
        PlanError: the client port is taken on the host.
    """
    if engine.containers(plan.name):
        return
    if plan.listen_port in listening_ports(before.host, plan.listen_host):
        raise PlanError(
            "listen",
            f"port {plan.listen_port} is in use on this host",
            f"stop the program that listens there (`ss -ltnp 'sport = {plan.listen_port}'` shows "
            "it), or choose another port",
        )


def refuse_other_machine(before: Snapshot) -> None:
    """Refuse an engine on another machine: containers mount the rendered folder from this one.

    Raises:
        EngineError: the engine runs on another machine, or in a virtual one.
    """
    theirs = (before.host.boot_id.value or "").strip()
    mine = Path("/proc/sys/kernel/random/boot_id")
    if not theirs or not mine.exists() or mine.read_text().strip() != theirs:
        raise EngineError(
            "the engine runs on another machine, which does not have the rendered files",
            "`stackctl render -o DIR`, copy DIR there, and run `docker compose up -d --wait` in it",
        )


def refuse_unprepared(plan: Plan, before: Snapshot) -> None:
    """In strict mode, refuse a host that is short of its rows, before anything is started.

    Raises:
        StrictError: the host is short of a row; nothing was started.
    """
    if plan.mode != "strict":
        return
    host = tuple(r for r in plan.requirements if r.target == HOST)
    seen = observations(before, host)
    found = [judge(r, seen[(r.target, r.limit)]) for r in host]
    short = [f for f in found if f.verdict in BAD]
    if short:
        raise StrictError(
            "strict mode: nothing was started; the host is short of\n  "
            + "\n  ".join(sentence(f) for f in short),
            f"{PREPARE_HOST}; or `limits.mode: fit` (--fit)",
        )
