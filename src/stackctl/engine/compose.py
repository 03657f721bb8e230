"""`docker compose`, run as a command."""

from __future__ import annotations

import subprocess
from pathlib import Path

from stackctl.engine.door import short
from stackctl.errors import EngineError

NEEDED = ("--wait", "--wait-timeout", "--remove-orphans")
"""Options that `Compose.up` gives to `docker compose up`."""

GET_COMPOSE = "install the docker command with compose v2 as its plugin (`make engine` does)"

ANSWER_SECONDS = 30


def compose_version() -> tuple[str, tuple[str, ...]]:
    """The version of compose, and the needed options that it lacks.

    Raises:
        EngineError: there is no compose v2.
    """
    version = _compose("version", "--short").strip()
    offered = _compose("up", "--help").split()
    return version, tuple(option for option in NEEDED if option not in offered)


def _compose(*words: str) -> str:
    try:
        done = subprocess.run(
            ["docker", "compose", *words],
            capture_output=True,
            check=True,
            timeout=ANSWER_SECONDS,
            stdin=subprocess.DEVNULL,
        )
    except FileNotFoundError as error:
        raise EngineError("the `docker` command is not installed", GET_COMPOSE) from error
    except subprocess.CalledProcessError as error:
        problem = f"`docker compose` is not installed: {short(error.stderr)}"
        raise EngineError(problem, GET_COMPOSE) from error
    except (OSError, subprocess.TimeoutExpired) as error:
        raise EngineError(f"`docker compose` does not answer: {error}", GET_COMPOSE) from error
    return done.stdout.decode("utf-8", "replace")


class Compose:
    """`docker compose` on one rendered folder."""

    def __init__(self, folder: Path, project: str) -> None:
        from python_on_whales import DockerClient as ComposeClient
        from python_on_whales.client_config import ClientNotFoundError

        self.project = project
        self._client = ComposeClient(
            compose_files=[folder / "compose.yaml"],
            compose_project_name=project,
            compose_project_directory=folder,
        )
        try:
            there = self._client.compose.is_installed()
        except ClientNotFoundError:
            there = False
        if not there:
            raise EngineError(
                "`docker compose` is not installed",
                GET_COMPOSE,
            )

    def up(self) -> None:
        """Create and start everything and wait until all health checks pass.

        Raises:
            EngineError: a container did not start or did not become healthy.
        """
        from python_on_whales.exceptions import DockerException

        try:
            self._client.compose.up(
                detach=True,
                wait=True,
                wait_timeout=180,
                # Replicas that stack.yaml no longer asks for.
                remove_orphans=True,
                quiet=True,
            )
        except DockerException as error:
            raise EngineError(
                f"docker compose up failed:\n{error.stderr or error}",
                f"see `docker compose -p {self.project} ps -a` and its logs; `stackctl down` "
                "removes what was started",
            ) from error

    def down(self) -> None:
        """Stop gracefully and remove containers, networks and volumes of the project.

        Raises:
            EngineError: compose failed.
        """
        from python_on_whales.exceptions import DockerException

        try:
            self._client.compose.down(volumes=True, remove_orphans=True, quiet=True)
        except DockerException as error:
            raise EngineError(
                f"docker compose down failed:\n{error.stderr or error}",
                "run `stackctl down` again: what is left is removed by its label",
            ) from error
