"""Labels and containers as stackctl finds them on an engine."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from stackctl.limits.targets import HAPROXY, is_replica

STACK_LABEL = "io.stackctl.stack"
TARGET_LABEL = "io.stackctl.target"
TELEMT_LABEL = "io.stackctl.telemt"
KEEP_LABEL = "io.stackctl.keep"
"""Marks volumes that `down` keeps."""

VERSION_LABEL = "io.stackctl.version"
WORKDIR_LABEL = "com.docker.compose.project.working_dir"


@dataclass(frozen=True, slots=True)
class Container:
    """A container of a stack, as the engine records it.

    Attributes:
        id: full id.
        name: its name.
        target: "haproxy", "telemt-N" or "datacentre".
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

    @property
    def is_replica(self) -> bool:
        """Whether it is a Telemt."""
        return is_replica(self.target)


def order(container: Container) -> tuple[int, int]:
    """Sort key: HAProxy first, then replicas by number, then the lab's data centre."""
    if container.is_replica:
        return 1, int(container.target.rpartition("-")[2])
    return (0 if container.target == HAPROXY else 2), 0
