"""`docker compose`, through its own command."""

from __future__ import annotations

from pathlib import Path

from stackctl.errors import EngineError


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
                "`docker compose` is not there",
                "install the docker command with compose v2 as its plugin (`make engine` does)",
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
                "takes what was started away",
            ) from error

    def down(self) -> None:
        """Stop gracefully and remove containers, networks and volumes of the project.

        Raises:
            EngineError: compose could not.
        """
        from python_on_whales.exceptions import DockerException

        try:
            self._client.compose.down(volumes=True, remove_orphans=True, quiet=True)
        except DockerException as error:
            raise EngineError(
                f"docker compose down failed:\n{error.stderr or error}",
                "run `stackctl down` again: what is left is removed by its label",
            ) from error
