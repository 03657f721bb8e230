"""Bounds on one client, divided where each replica counts on its own."""

from __future__ import annotations

from stackctl.plan.model import Bounds, HostFacts
from stackctl.plan.sizes import fair_share
from stackctl.spec import Stack

RELAY_SHARE = 4
"""Telemt takes a quarter of the memory that it sees for relay buffers; all replicas see the
same."""

RELAY_LEAST, RELAY_MOST, PAGE = 16 << 20, 2 << 30, 4096
"""Bytes that Telemt 3.4.25 accepts, in multiples of a page; with other numbers it does not
start."""


def bounds(stack: Stack) -> Bounds:
    """The bounds in force in HAProxy and in each replica.

    HAProxy sees every connection, so it has the whole number. A replica sees only its own.
    `leastconn` spreads a client's connections over all replicas, so each gets a share of the
    number. With `source` an address stays on one replica, which needs the whole number.
    """
    whole = stack.balance == "source"

    def each(total: int) -> int:
        return total if whole or not total else fair_share(total, stack.replicas)

    return Bounds(
        address_connections=stack.per_address.connections,
        address_rate=stack.per_address.rate,
        user_connections=each(stack.per_user.connections),
        user_addresses=each(stack.per_user.addresses),
        user_quota_bytes=each(stack.per_user.quota_mib << 20),
    )


def relay_buffer_bytes(stack: Stack, facts: HostFacts | None) -> int:
    """Bytes of one replica's relay buffers: all replicas together take a quarter of the memory."""
    if stack.replicas == 1 or not facts or not facts.memory_bytes:
        return 0
    share = facts.memory_bytes // RELAY_SHARE // stack.replicas
    share = min(RELAY_MOST, max(RELAY_LEAST, share))
    return share // PAGE * PAGE
