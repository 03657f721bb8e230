"""Images from a registry, where one answers."""

from __future__ import annotations

import queue
import threading
from typing import TYPE_CHECKING

from stackctl.engine.images.build import Progress

if TYPE_CHECKING:
    from docker import DockerClient

PULL_SILENCE_SECONDS = 15.0
"""A registry that sends nothing for this long is out of reach; a slow download may take longer."""


def pull(client: DockerClient, reference: str, progress: Progress) -> str | None:
    """Pull an image; None when the engine has it, else why not."""
    events: queue.Queue[str | None] = queue.Queue()
    problems: list[str] = []

    def work() -> None:
        try:
            for event in client.api.pull(reference, stream=True, decode=True):
                if "error" in event:
                    problems.append(str(event["error"]))
                events.put(str(event.get("status", "")))
        except Exception as error:  # noqa: BLE001 - any failure means that it cannot be pulled
            # The SDK's own text wraps the engine's explanation in an HTTP status and address.
            problems.append(str(getattr(error, "explanation", None) or error))
        events.put(None)

    progress(f"pulling {reference}")
    # A thread pulls: the engine waits for the registry, and the SDK's pull has no timeout.
    threading.Thread(target=work, name=f"pull {reference}", daemon=True).start()
    last = ""
    try:
        while (status := events.get(timeout=PULL_SILENCE_SECONDS)) is not None:
            if status not in ("", last):
                progress(status)
                last = status
    except queue.Empty:
        return f"the registry was silent for {PULL_SILENCE_SECONDS:g} s"
    return problems[0] if problems else None
