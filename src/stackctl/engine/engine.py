"""A reachable engine, and what stackctl asks of it."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from stackctl.collector.answer import Answer
from stackctl.collector.request import Request
from stackctl.engine.collector import run_collector
from stackctl.engine.connect import connect
from stackctl.engine.door import GET_ONE, door, short, where
from stackctl.engine.model import (
    KEEP_LABEL,
    STACK_LABEL,
    TARGET_LABEL,
    WORKDIR_LABEL,
    Container,
    order,
)
from stackctl.errors import EngineError

if TYPE_CHECKING:
    from docker import DockerClient

OLDEST_API = (1, 41)
"""Docker 20.10: the first with cgroup v2 and the compose plugin's needs."""

REMOVAL_SECONDS = 30.0
"""How long a removal is tried again."""


class Engine:
    """A reachable engine, new enough for what stackctl needs."""

    def __init__(self, client: DockerClient) -> None:
        self.client = client
        try:
            version = client.version()
        except Exception as error:  # the SDK raises its own, requests' and urllib3's kinds
            raise EngineError(f"no engine answers at {where()}: {short(error)}", GET_ONE) from error
        self.about: Mapping[str, Any] = version
        """The engine's own answer to "version": its components, API and platform."""
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
            EngineError: there is no engine, it cannot be reached, or it is too old.
        """
        return cls(connect())

    def info(self) -> Mapping[str, Any]:
        """The engine's own answer to "info": drivers, control groups, security options.

        Raises:
            EngineError: it did not answer.
        """
        with door("asking the engine about itself"):
            found: Mapping[str, Any] = self.client.info()
        return found

    def containers(self, stack: str) -> tuple[Container, ...]:
        """The containers of a stack by their label, HAProxy first, then replicas in order."""
        with door("listing containers"):
            found = self.client.containers.list(
                all=True,
                filters={"label": [f"{STACK_LABEL}={stack}", TARGET_LABEL]},
                # The SDK asks for each container after the list; one may be removed in between.
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
        return tuple(sorted(containers, key=order))

    def running_stacks(self) -> dict[str, str]:
        """Stacks with a running container → the folder that compose started them from."""
        with door("listing containers"):
            found = self.client.api.containers(filters={"label": [STACK_LABEL, WORKDIR_LABEL]})
        labels = [container["Labels"] for container in found]
        return {one[STACK_LABEL]: one[WORKDIR_LABEL] for one in labels}

    def collect(self, request: Request, stack: str) -> Answer:
        """Run the collector once and return its answer.

        Raises:
            EngineError: the collector could not be started, or its answer cannot be parsed.
        """
        return run_collector(self.client, request, stack)

    def logs(self, containers: Sequence[Container], since: float) -> dict[str, tuple[str, ...]]:
        """What each container logged since a time (seconds since 1970; 0: all of it), by target.

        A container that was removed meanwhile has no lines.
        """
        from docker.errors import NotFound

        def read(container: Container) -> tuple[str, ...]:
            try:
                raw = self.client.api.logs(container.id, since=int(since) or None, tail=5000)
            except NotFound:
                return ()
            return tuple(raw.decode("utf-8", "replace").splitlines())

        if not containers:
            return {}
        workers = min(16, len(containers))
        with door("reading logs"), ThreadPoolExecutor(max_workers=workers) as pool:
            texts = pool.map(read, containers)
            return {c.target: lines for c, lines in zip(containers, texts, strict=True)}

    def stop(self, containers: Sequence[Container], grace: int) -> None:
        """Stop containers side by side, each with `grace` seconds before it is killed."""
        from docker.errors import NotFound

        def end(container: Container) -> None:
            with suppress(NotFound):
                self.client.containers.get(container.id).stop(timeout=grace)

        if not containers:
            return
        workers = min(16, len(containers))
        with door("stopping containers"), ThreadPoolExecutor(max_workers=workers) as pool:
            list(pool.map(end, containers))

    def subnets(self) -> dict[str, tuple[str, ...]]:
        """IPv4 subnets of the engine's networks, by the stack that owns them ("" for none)."""
        found: dict[str, list[str]] = {}
        with door("listing networks"):
            networks = self.client.networks.list()
        for network in networks:
            owner = (network.attrs.get("Labels") or {}).get(STACK_LABEL, "")
            for config in (network.attrs.get("IPAM") or {}).get("Config") or ():
                if config.get("Subnet") and ":" not in config["Subnet"]:
                    found.setdefault(owner, []).append(config["Subnet"])
        return {owner: tuple(nets) for owner, nets in found.items()}

    def remove_stack(
        self, stack: str, quiet: float = 0.0, *, state: bool = True
    ) -> tuple[str, ...]:
        """Remove every container, network and volume that carries the stack's label.

        Args:
            stack: its name.
            state: also the volumes that hold quotas and caches.
            quiet: seconds without a new container before the removal counts as done: an interrupted
                compose may have had a request under way.

        Returns:
            what was removed, as "container NAME" and so on.

        Raises:
            EngineError: something could not be removed.
        """
        from docker.errors import APIError

        removed: list[str] = []
        problem = ""
        end = time.monotonic() + REMOVAL_SECONDS
        still = time.monotonic() + quiet
        while time.monotonic() < end:
            try:
                with door("removing"):
                    found = self._remove_what_is_there(stack, state)
            except EngineError as error:
                if not isinstance(error.__cause__, APIError):
                    raise
                # A volume is in use until its container is removed, and that may be under way.
                problem, found = short(error), ("",)
            removed += filter(None, found)
            if found:
                still = time.monotonic() + quiet
            elif time.monotonic() >= still:
                return tuple(removed)
            time.sleep(0.1)
        raise EngineError(
            f"{stack}: some of it could not be removed: {problem or 'new parts keep appearing'}",
            f"see `docker ps -a --filter label={STACK_LABEL}={stack}`, and run the command again",
        )

    def _remove_what_is_there(self, stack: str, state: bool) -> tuple[str, ...]:
        from docker.errors import NotFound

        by_label: dict[str, Any] = {"label": f"{STACK_LABEL}={stack}"}
        removed = []
        for container in self.client.containers.list(
            all=True, filters=by_label, ignore_removed=True
        ):
            with suppress(NotFound):
                container.remove(force=True)
                removed.append(f"container {container.name}")
        for network in self.client.networks.list(filters=by_label):
            with suppress(NotFound):
                network.remove()
                removed.append(f"network {network.name}")
        for volume in self.client.volumes.list(filters=by_label):
            if not state and KEEP_LABEL in (volume.attrs.get("Labels") or {}):
                continue
            with suppress(NotFound):
                volume.remove()
                removed.append(f"volume {volume.name}")
        return tuple(removed)
