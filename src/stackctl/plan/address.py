"""Addresses: one private /24 for each stack, picked by its name and free on this machine."""

from __future__ import annotations

from ipaddress import IPv4Network
from zlib import crc32

from stackctl.errors import PlanError
from stackctl.plan.model import HostFacts, Replica
from stackctl.spec import Stack

GATEWAY_HOST = 1
HAPROXY_HOST = 2
DATACENTRE_HOST = 3
FIRST_REPLICA = 10


def subnet_of(stack: Stack, facts: HostFacts | None) -> IPv4Network:
    """The stack's subnet: the given one, the one this stack already uses, or the first free
    candidate.

    In host mode there is no network to make. The replicas' APIs listen in a /24 of loopback that is
    the stack's own, so two stacks on one host never share a port.

    Raises:
        PlanError: the given subnet overlaps one in use, or no candidate is free.
    """
    if stack.network == "host":
        # 127.0.0.0/16 stays free for the machine's own listeners.
        return IPv4Network(f"127.{1 + _seed(stack.name) % 250}.{_seed(stack.name, 7) % 250}.0/24")
    taken = [IPv4Network(text) for text in (facts.subnets_taken if facts else ())]
    if stack.subnet:
        given = IPv4Network(stack.subnet)
        clash = next((net for net in taken if net.overlaps(given)), None)
        if clash:
            raise PlanError(
                "subnet",
                f"{given} overlaps {clash}, which is in use on this machine",
                "choose a free private network, or leave the key out",
            )
        return given
    if facts and facts.own_subnet:
        return IPv4Network(facts.own_subnet)
    for step in range(250):
        # 10.201-10.250: away from Docker's own pools and from common office and VPN ranges.
        seed = _seed(stack.name) + step * 7919
        candidate = IPv4Network(f"10.{201 + seed % 50}.{seed // 50 % 250}.0/24")
        if not any(candidate.overlaps(net) for net in taken):
            return candidate
    raise PlanError(
        "subnet",
        "no free network found among 10.201.0.0 to 10.250.249.0",
        "give one: `subnet: 10.x.y.0/24`",
    )


def replicas_in(subnet: IPv4Network, count: int) -> tuple[Replica, ...]:
    """The replicas with their addresses.

    Raises:
        PlanError: the subnet has no room for that many.
    """
    if FIRST_REPLICA + count > subnet.num_addresses - 1:
        raise PlanError(
            "subnet",
            f"{subnet} has no room for {count} replicas",
            f"give a larger one; /24 has room for {254 - FIRST_REPLICA}",
        )
    return tuple(
        Replica(f"telemt-{n}", str(subnet[FIRST_REPLICA + n - 1])) for n in range(1, count + 1)
    )


def _seed(name: str, salt: int = 0) -> int:
    return crc32(name.encode(), salt)
