"""Which engine: DOCKER_HOST, DOCKER_CONTEXT, or the current docker context."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from stackctl.engine.door import GET_ONE, short, where
from stackctl.errors import EngineError

if TYPE_CHECKING:
    from docker import DockerClient

TIMEOUT = 120
"""Seconds one call may take."""


def connect() -> DockerClient:
    """A client for the engine in use; it has asked the engine for its version alone.

    Raises:
        EngineError: there is no engine, or it cannot be reached.
    """
    import docker
    from docker.errors import DockerException
    from requests.exceptions import RequestException

    try:
        if os.environ.get("DOCKER_HOST"):
            return docker.from_env(timeout=TIMEOUT, use_ssh_client=True)
        context = _context()
        if context is None:
            return docker.DockerClient(timeout=TIMEOUT)
        return docker.DockerClient(
            base_url=context.Host,
            tls=context.TLSConfig or False,
            timeout=TIMEOUT,
            use_ssh_client=True,
        )
    except (DockerException, RequestException, OSError) as error:
        raise EngineError(f"no engine answers at {where()}: {short(error)}", GET_ONE) from error


def _context() -> Any:
    """The docker context in use, or None for the default one."""
    from docker.context import ContextAPI
    from docker.context.config import get_current_context_name

    name = os.environ.get("DOCKER_CONTEXT") or get_current_context_name()
    if name == "default":
        return None
    context = ContextAPI.get_context(name)
    if context is None:
        raise EngineError(
            f"docker context {name!r} does not exist", "see `docker context ls`, or unset it"
        )
    return context
