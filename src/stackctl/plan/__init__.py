"""Stack + limits table + host facts → Plan."""

from __future__ import annotations

from stackctl.plan.make import default_sources, make_plan, sizes_of
from stackctl.plan.model import (
    Bounds,
    Datacentre,
    Hardware,
    HostFacts,
    Plan,
    Replica,
    Requirement,
    Sources,
    Written,
)

__all__ = [
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
    "sizes_of",
]
