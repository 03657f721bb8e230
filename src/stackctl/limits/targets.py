"""Names of what a limit is observed on: the host, the containers, and the links between them."""

from __future__ import annotations

from stackctl.limits.model import Role

HOST = "host"
HAPROXY = "haproxy"
TELEMT = "telemt"
DATACENTRE = "datacentre"
"""The lab's stand-in for Telegram's data centres."""


def replica_name(number: int) -> str:
    """telemt-1, telemt-2, ..."""
    return f"{TELEMT}-{number}"


def link_name(replica: str) -> str:
    """haproxy/telemt-1: HAProxy's server line for a replica."""
    return f"{HAPROXY}/{replica}"


def is_replica(target: str) -> bool:
    """Whether a target is a Telemt container."""
    name, _, number = target.rpartition("-")
    return name == TELEMT and number.isdigit()


def role_of(target: str) -> Role:
    """The role that a target's name stands for."""
    if target in (HOST, HAPROXY):
        return Role(target)
    return Role.LINK if target.startswith(f"{HAPROXY}/") else Role.TELEMT
