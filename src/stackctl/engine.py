"""The only door to Docker: the SDK for the engine, compose through its own command."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from stackctl import __version__
from stackctl.errors import EngineError

if TYPE_CHECKING:
    from docker import DockerClient
    from docker.models.containers import Container as SdkContainer

STACK_LABEL = "io.stackctl.stack"
TARGET_LABEL = "io.stackctl.target"
TELEMT_LABEL = "io.stackctl.telemt"
VERSION_LABEL = "io.stackctl.version"
WORKDIR_LABEL = "com.docker.compose.project.working_dir"

OLDEST_API = (1, 41)
"""Docker 20.10: the first with cgroup v2 and the compose plugin's needs."""

PROBE_IMAGE = f"stackctl/probe:{__version__}"
PROBE_CAPABILITIES = ("SYS_ADMIN", "SYS_PTRACE", "DAC_READ_SEARCH", "NET_ADMIN")
"""Enter namespaces; read other users' /proc and duplicate a live socket; list their descriptors;
read sock_diag. Not `--privileged`: a daemon without CAP_SYS_RESOURCE cannot start that."""

GET_ONE = (
    "install one (`make engine`, or your distribution's docker.io and compose plugin), start it, "
    "or set DOCKER_HOST or a docker context to one that runs"
)


@dataclass(frozen=True, slots=True)
class Container:
    """A container of a stack, as the engine records it.

    Attributes:
        id: full id.
        name: its name.
        target: "haproxy" or "telemt-N".
        pid: process id of its first process as the engine's host sees it; 0 if not running.
        status: "running", "exited", ...
        health: "healthy", "starting", "unhealthy" or "" without a health check.
        labels: all labels.
        started: RFC 3339 time of the last start.
    """

    id: str
    name: str
    target: str
    pid: int
    status: str
    health: str
    labels: Mapping[str, str]
    started: str


class Engine:
    """A reachable engine, new enough for what stackctl needs."""

    def __init__(self, client: DockerClient) -> None:
        self.client = client
        try:
            version = client.version()
        except Exception as error:  # the SDK raises its own, requests' and urllib3's kinds
            raise EngineError(
                f"no engine answers at {_where()}: {_short(error)}", GET_ONE
            ) from error
        self.version = str(version.get("Version", "?"))
        api = str(version.get("ApiVersion", "0.0"))
        if tuple(int(part) for part in api.split(".")) < OLDEST_API:
            raise EngineError(
                f"engine {self.version} (API {api}) is too old",
                "stackctl needs Docker 20.10 (API 1.41) or newer",
            )

    @classmethod
    def connect(cls) -> Engine:
        """The engine that DOCKER_HOST, DOCKER_CONTEXT or the current docker context names.

        Raises:
            EngineError: none there, unreachable, or too old.
        """
        import docker
        from docker.errors import DockerException

        try:
            if os.environ.get("DOCKER_HOST"):
                return cls(docker.from_env(timeout=120, use_ssh_client=True))
            context = _context()
            if context is None:
                return cls(docker.DockerClient(timeout=120))
            return cls(
                docker.DockerClient(
                    base_url=context.Host,
                    tls=context.TLSConfig or False,
                    timeout=120,
                    use_ssh_client=True,
                )
            )
        except DockerException as error:
            raise EngineError(
                f"no engine answers at {_where()}: {_short(error)}", GET_ONE
            ) from error

    def containers(self, stack: str) -> tuple[Container, ...]:
        """The containers of a stack by their label, HAProxy first, then replicas in order."""
        found = self.client.containers.list(
            all=True,
            filters={"label": [f"{STACK_LABEL}={stack}", TARGET_LABEL]},
            # The SDK asks for each one after the list: one may have gone in between.
            ignore_removed=True,
        )
        containers = []
        for item in found:
            attrs = item.attrs
            state = attrs["State"]
            containers.append(
                Container(
                    id=item.id or "",
                    name=(item.name or "").lstrip("/"),
                    target=item.labels[TARGET_LABEL],
                    pid=int(state.get("Pid") or 0),
                    status=state.get("Status", ""),
                    health=state.get("Health", {}).get("Status", ""),
                    labels=dict(item.labels),
                    started=state.get("StartedAt", ""),
                )
            )
        return tuple(sorted(containers, key=_order))

    def probe(self, request: Mapping[str, Any], stack: str) -> dict[str, Any]:
        """Run the probe once and return its answer.

        Raises:
            EngineError: it could not be started, or did not answer with JSON.
        """
        from docker.errors import DockerException
        from docker.types import LogConfig

        def run() -> tuple[bytes, bytes, int]:
            container = self.client.containers.create(
                PROBE_IMAGE,
                [json.dumps(request, separators=(",", ":"))],
                pid_mode="host",
                network_mode="host",
                cgroupns="host",
                cap_drop=["ALL"],
                cap_add=list(PROBE_CAPABILITIES),
                # HAProxy's admin socket is open to its group alone.
                group_add=["99"],
                # The engine's own process runs unconfined, and docker-default may not look at it.
                security_opt=["apparmor=unconfined"],
                read_only=True,
                labels={STACK_LABEL: stack, VERSION_LABEL: __version__},
                log_config=LogConfig(type="none"),
            )
            try:
                return _run_attached(container)
            finally:
                container.remove(force=True)

        try:
            # In a thread, and waited for: Ctrl-C may come before the container is removed.
            with ThreadPoolExecutor(max_workers=1) as pool:
                output, errors, status = pool.submit(run).result()
        except DockerException as error:
            raise EngineError(
                f"the probe could not be started: {_short(error)}",
                "it needs host pid and network namespaces and the capabilities "
                + ", ".join(PROBE_CAPABILITIES),
            ) from error
        if status != 0:
            raise EngineError(
                f"the probe failed with status {status}: {_short(errors)}",
                "run the command again; if it fails again, report the message above",
            )
        try:
            answer: dict[str, Any] = json.loads(output)
        except ValueError as error:
            raise EngineError(
                f"the probe's answer is not JSON: {output[:200]!r}", "report this message"
            ) from error
        return answer

    def logs(self, containers: Sequence[Container], since: float) -> dict[str, tuple[str, ...]]:
        """What each container logged since a time (seconds since 1970), by target."""

        def read(container: Container) -> tuple[str, ...]:
            raw = self.client.api.logs(container.id, since=int(since), tail=5000)
            return tuple(raw.decode("utf-8", "replace").splitlines())

        if not containers:
            return {}
        with ThreadPoolExecutor(max_workers=min(16, len(containers))) as pool:
            texts = pool.map(read, containers)
            return {c.target: lines for c, lines in zip(containers, texts, strict=True)}

    def restart(self, container: Container) -> None:
        """Restart a container, giving it its own stop_grace_period."""
        self.client.containers.get(container.id).restart()

    def subnets(self) -> dict[str, tuple[str, ...]]:
        """IPv4 subnets of the engine's networks, by the stack that owns them ("" for none)."""
        found: dict[str, list[str]] = {}
        for network in self.client.networks.list():
            owner = (network.attrs.get("Labels") or {}).get(STACK_LABEL, "")
            for config in (network.attrs.get("IPAM") or {}).get("Config") or ():
                if config.get("Subnet") and ":" not in config["Subnet"]:
                    found.setdefault(owner, []).append(config["Subnet"])
        return {owner: tuple(nets) for owner, nets in found.items()}

    def can_pull(self, image: str, progress: Callable[[str], None]) -> bool:
        """Whether an image is here or can be fetched; fetches it."""
        from docker.errors import DockerException, ImageNotFound

        try:
            self.client.images.get(image)
            return True
        except ImageNotFound:
            pass
        progress(f"pulling {image}")
        try:
            self.client.images.pull(image)
        except DockerException as error:
            progress(f"{image} cannot be pulled: {_short(error)}")
            return False
        return True

    def image_label(self, image: str, label: str) -> str:
        """A label of an image here; "" if the image or the label is missing."""
        from docker.errors import ImageNotFound

        try:
            labels: Mapping[str, str] = self.client.images.get(image).labels
        except ImageNotFound:
            return ""
        return labels.get(label, "")

    def remove_stack(self, stack: str) -> tuple[str, ...]:
        """Remove every container, network and volume that carries the stack's label.

        Returns:
            what was removed, as "container NAME" and so on.
        """
        from docker.errors import NotFound

        by_label: dict[str, Any] = {"label": f"{STACK_LABEL}={stack}"}
        removed = []
        for container in self.client.containers.list(all=True, filters=by_label):
            try:
                container.remove(force=True)
            except NotFound:
                continue
            removed.append(f"container {container.name}")
        for network in self.client.networks.list(filters=by_label):
            network.remove()
            removed.append(f"network {network.name}")
        for volume in self.client.volumes.list(filters=by_label):
            volume.remove()
            removed.append(f"volume {volume.name}")
        return tuple(removed)


class Compose:
    """`docker compose` on one rendered folder."""

    def __init__(self, folder: Path, project: str) -> None:
        from python_on_whales import DockerClient as ComposeClient

        self.project = project
        self._client = ComposeClient(
            compose_files=[folder / "compose.yaml"],
            compose_project_name=project,
            compose_project_directory=folder,
        )
        if not self._client.compose.is_installed():
            raise EngineError(
                "`docker compose` is not there",
                "install compose v2 as a plugin of the docker command (`make engine` does)",
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


def _run_attached(container: SdkContainer) -> tuple[bytes, bytes, int]:
    """Start a container and read it to its end: stdout, stderr and exit status.

    Attached before the start, so the output comes as it is written, and whole: which log driver the
    engine has, and whether that has everything when the container ends, does not matter.
    """
    stream = container.attach(stdout=True, stderr=True, stream=True, demux=True)
    container.start()
    output, errors = bytearray(), bytearray()
    for out, err in stream:
        output += out or b""
        errors += err or b""
    return bytes(output), bytes(errors), int(container.wait()["StatusCode"])


def _context() -> Any:
    """The docker context in use, or None for the default one."""
    from docker.context import ContextAPI

    name = os.environ.get("DOCKER_CONTEXT") or ContextAPI.get_current_context().name
    if name == "default":
        return None
    context = ContextAPI.get_context(name)
    if context is None:
        raise EngineError(
            f"docker context {name!r} does not exist", "see `docker context ls`, or unset it"
        )
    return context


def _where() -> str:
    return (
        os.environ.get("DOCKER_HOST")
        or (os.environ.get("DOCKER_CONTEXT") and f"context {os.environ['DOCKER_CONTEXT']}")
        or "the default socket or the current docker context"
    )


def _order(container: Container) -> tuple[int, int]:
    number = container.target.rpartition("-")[2]
    return (0, 0) if not number.isdigit() else (1, int(number))


def _short(error: object) -> str:
    text = error.decode("utf-8", "replace") if isinstance(error, bytes) else str(error)
    return " ".join(text.split())[-600:]
