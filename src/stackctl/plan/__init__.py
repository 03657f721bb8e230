"""Stack + THE TABLE + host facts → Plan."""

from __future__ import annotations

from stackctl.plan.make import default_sources, make_plan, sizes_of
from stackctl.plan.model import (
    DATACENTRE,
    HAPROXY,
    HOST,
    Bounds,
    Datacentre,
    Hardware,
    HostFacts,
    Plan,
    Replica,
    Requirement,
    Sources,
    Written,
    role_of,
)

__all__ = [
    "DATACENTRE",
    "HAPROXY",
    "HOST",
    "Bounds",
    "Datacentre",
    "Hardware",
    "HostFacts",
    "Plan",
    "Replica",
    "Requirement",
    "Sources",
    "Written",
    "default_sources",
    "make_plan",
    "role_of",
    "sizes_of",
]
