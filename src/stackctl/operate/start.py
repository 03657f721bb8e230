"""Start containers and wait for them, reporting the state of each."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from threading import Event, Thread

from stackctl.engine import Compose, Engine
from stackctl.errors import EngineError

Progress = Callable[[str], None]

WATCH_SECONDS = 1.0
"""How often the containers are looked at while they start."""

LAST_WORDS = 8
"""How many of the last lines of a failed container's log go into the message."""


def start(compose: Compose, engine: Engine, name: str, progress: Progress) -> None:
    """Start everything and wait until it is healthy, reporting each container's state.

    Raises:
        EngineError: a container did not start or did not become healthy; the message has the last
            lines of its log.
    """
    done = Event()
    # Compose runs in this thread, so that Ctrl-C ends it; the other thread only looks.
    watcher = Thread(target=_watch, args=(engine, name, progress, done), daemon=True)
    watcher.start()
    try:
        compose.up()
    except EngineError as error:
        raise EngineError(f"{error.message}{_last_words(engine, name)}", error.remedy) from error
    finally:
        done.set()
        watcher.join(WATCH_SECONDS * 2)


def _watch(engine: Engine, name: str, progress: Progress, done: Event) -> None:
    said: dict[str, str] = {}
    while not done.wait(WATCH_SECONDS):
        with suppress(EngineError):
            for container in engine.containers(name):
                state = container.health or container.status
                if said.get(container.target) != state:
                    said[container.target] = state
                    progress(f"{container.target}: {state}")


def _last_words(engine: Engine, name: str) -> str:
    """The last log lines of each container that is not healthy."""
    ill = [c for c in engine.containers(name) if c.health not in {"healthy", ""} or not c.pid]
    logs = engine.logs(ill, 0)
    return "".join(
        f"\n{c.target} is {c.health or c.status}; the end of its log:\n  "
        + "\n  ".join(logs.get(c.target, ())[-LAST_WORDS:] or ["(none)"])
        for c in ill
    )
