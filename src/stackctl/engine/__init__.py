"""The only door to Docker: the SDK for the engine, compose through its own command."""

from __future__ import annotations

from stackctl.engine.collector import COLLECTOR_CAPABILITIES, COLLECTOR_IMAGE
from stackctl.engine.compose import Compose, compose_version
from stackctl.engine.engine import Engine
from stackctl.engine.model import (
    STACK_LABEL,
    TARGET_LABEL,
    TELEMT_LABEL,
    VERSION_LABEL,
    WORKDIR_LABEL,
    Container,
)

__all__ = [
    "COLLECTOR_CAPABILITIES",
    "COLLECTOR_IMAGE",
    "STACK_LABEL",
    "TARGET_LABEL",
    "TELEMT_LABEL",
    "VERSION_LABEL",
    "WORKDIR_LABEL",
    "Compose",
    "Container",
    "Engine",
    "compose_version",
]
