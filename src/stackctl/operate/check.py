"""A throwaway copy of a stack: started, proven, and removed, whatever happens in between."""

from __future__ import annotations

import os
import secrets as random
import signal
import socket
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from types import FrameType

from stackctl.engine import Engine
from stackctl.errors import EngineError
from stackctl.observe.look import facts_of, look
from stackctl.operate.prove import SETTLING, Proof, prove
from stackctl.operate.refuse import refuse_other_machine, refuse_unprepared
from stackctl.operate.sources import ensure, resolve
from stackctl.operate.write import write_tree
from stackctl.plan import make_plan
from stackctl.plan.make import telemt_image
from stackctl.render import MODES, render
from stackctl.spec import Secrets, Stack, as_copy

QUIET_SECONDS = 2.0
"""An interrupted copy counts as removed when nothing new of it appears for this long."""


def check(stack: Stack, secrets: Secrets, engine: Engine, progress: Callable[[str], None]) -> Proof:
    """Start a copy of the stack under another name and port, verify it, remove it.

    The copy is removed on success, on error and on SIGINT, SIGTERM and SIGHUP; its containers,
    networks and volumes are found by their label.

    Raises:
        EngineError: the copy could not be started or removed.
    """
    copy = as_copy(stack, f"check-{random.token_hex(4)}", free_port())
    with _signals_as_interrupts(), tempfile.TemporaryDirectory(prefix="stackctl-check-") as made:
        sources = resolve(stack, engine, progress)
        # The copy uses the stack's own images: an image tagged for the copy would be left behind.
        ensure(stack, sources, engine, progress)
        before = look(engine, copy)
        refuse_other_machine(before)
        plan = replace(
            make_plan(copy, facts_of(before, engine, copy.name), sources),
            telemt_image=telemt_image(stack, sources),
        )
        refuse_unprepared(plan, before)
        folder = Path(made) / "stack"
        write_tree(folder, render(plan, secrets), MODES)
        quiet = 0.0
        try:
            progress(f"starting the copy {copy.name} on port {copy.listen.port}")
            _start(folder, plan.project)
            progress("verifying the copy")
            return prove(copy, engine, sources, SETTLING)
        except BaseException:
            # Compose was interrupted or gave up; the engine may still work on its requests.
            quiet = QUIET_SECONDS
            raise
        finally:
            with _signals_ignored():
                progress(f"removing the copy {copy.name}")
                engine.remove_stack(copy.name, quiet)


def _start(folder: Path, project: str) -> None:
    # Testcontainers' reaper needs an image that may not be available. We remove by label instead.
    os.environ.setdefault("TESTCONTAINERS_RYUK_DISABLED", "true")
    from subprocess import CalledProcessError

    from testcontainers.compose import DockerCompose

    compose = DockerCompose(
        context=folder,
        compose_file_name="compose.yaml",
        wait=True,
        quiet_pull=True,
        docker_command_path="docker",
    )
    try:
        compose.start()
    except CalledProcessError as error:
        detail = error.stderr.decode("utf-8", "replace") if error.stderr else str(error)
        raise EngineError(
            f"the copy did not start: {' '.join(detail.split())[-600:]}",
            "`stackctl up` shows more; the copy has been removed",
        ) from error


def free_port() -> int:
    """A TCP port that nobody listens on now, below the range of source ports."""
    for _ in range(200):
        port = 20000 + random.randbelow(10000)
        with socket.socket() as sock:
            try:
                sock.bind(("", port))
            except OSError:
                continue
            return port
    raise EngineError(
        "no free port found between 20000 and 30000", "stop programs that listen there"
    )


@contextmanager
def _signals_as_interrupts() -> Iterator[None]:
    """SIGTERM and SIGHUP raise KeyboardInterrupt as Ctrl-C does, so that the removal runs."""

    def interrupt(_signal: int, _frame: FrameType | None) -> None:
        raise KeyboardInterrupt

    with _handlers({signal.SIGTERM: interrupt, signal.SIGHUP: interrupt}):
        yield


@contextmanager
def _signals_ignored() -> Iterator[None]:
    """A second Ctrl-C must not stop the removal half way."""
    ignored = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    with _handlers(dict.fromkeys(ignored, signal.SIG_IGN)):
        yield


@contextmanager
def _handlers(
    handlers: dict[signal.Signals, Callable[[int, FrameType | None], None] | signal.Handlers],
) -> Iterator[None]:
    before = {number: signal.signal(number, handler) for number, handler in handlers.items()}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
