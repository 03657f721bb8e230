"""Every failure on the way to the engine becomes one kind of error with a remedy."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager

from stackctl.errors import EngineError

GET_ONE = (
    "install one (`make engine`, or your distribution's docker.io and compose plugin), start it, "
    "or set DOCKER_HOST or a docker context to one that runs"
)


@contextmanager
def door(doing: str) -> Iterator[None]:
    """Turn exceptions of the SDK, its HTTP library and the socket into EngineError.

    Args:
        doing: what the engine was asked for, as in "listing containers".
    """
    from docker.errors import DockerException
    from requests.exceptions import RequestException

    try:
        yield
    except (DockerException, RequestException, OSError) as error:
        raise EngineError(
            f"{doing} failed at {where()}: {short(error)}",
            "see whether `docker version` answers and what the engine's log says, then run the "
            "command again",
        ) from error


def where() -> str:
    """The engine in words: the variable, context or default that names it."""
    return (
        os.environ.get("DOCKER_HOST")
        or (os.environ.get("DOCKER_CONTEXT") and f"context {os.environ['DOCKER_CONTEXT']}")
        or "the default socket or the current docker context"
    )


def short(error: object) -> str:
    """An error's text on one line; only the end of a long one."""
    text = error.decode("utf-8", "replace") if isinstance(error, bytes) else str(error)
    return " ".join(text.split())[-600:]
