"""From a plan's granted limits to its ceilings, and what raises the first one."""

from __future__ import annotations

from collections.abc import Sequence

from stackctl.errors import StrictError
from stackctl.limits import INFINITY, Value
from stackctl.limits.rows import PREPARE_HOST
from stackctl.limits.targets import DATACENTRE, HAPROXY, HOST
from stackctl.plan.model import HostFacts, Requirement
from stackctl.plan.predict import LINK, MEMORY, OUTWARD, PORTS, TABLE_SIZE, Ceiling, Granted
from stackctl.plan.require import granted_descriptors
from stackctl.plan.sizes import ADMIN_RESERVE, TELEMT_FIXED_DESCRIPTORS, Sizes, usable_ports
from stackctl.spec import Stack

MEMORY_SHARE = 0.8
"""Share of the machine's memory. The rest is for the page cache and other processes."""


def granted_of(
    stack: Stack, sizes: Sizes, required: Sequence[Requirement], facts: HostFacts | None
) -> Granted:
    """What the stack is granted: as planned, and for what only the host has, as it runs now.

    A host that is not known is taken to have what the limits table wants of it, and enough memory.
    """
    wanted = {(r.target, r.limit): r.wanted for r in required}
    replica = next(r.target for r in required if r.target.startswith("telemt-"))
    memory = facts.memory_bytes if facts else 0
    return Granted(
        network=stack.network,
        link=stack.link,
        replicas=stack.replicas,
        even=stack.balance == "leastconn" or stack.replicas == 1,
        middle_proxy=stack.telemt.middle_proxy,
        lab=stack.telemt.datacentre == "lab",
        frontend_maxconn=_number(wanted[HAPROXY, "haproxy.frontend_maxconn"]),
        global_maxconn=_number(wanted[HAPROXY, "haproxy.maxconn"]),
        haproxy_own_connections=ADMIN_RESERVE,
        server_maxconn=_number(wanted[f"{HAPROXY}/{replica}", "haproxy.server_maxconn"]),
        max_connections=_number(wanted[replica, "telemt.max_connections"]),
        haproxy_nofile=_descriptors(required, HAPROXY),
        haproxy_own=sizes.haproxy_descriptors - 2 * sizes.frontend_maxconn,
        telemt_nofile=_descriptors(required, replica),
        telemt_own=TELEMT_FIXED_DESCRIPTORS,
        link_ports=_ports(stack, wanted, HAPROXY, facts) * sizes.link_ports,
        outward_ports=_ports(stack, wanted, replica, facts),
        conntrack_max=_host_number(wanted, TABLE_SIZE, facts),
        conntrack_used=facts.conntrack_used if facts else 0,
        tracked=not (facts and facts.tracked is False),
        file_max=_host_number(wanted, "fs.file-max", facts),
        memory=int(memory * MEMORY_SHARE) if memory else None,
        client_bytes=(sizes.haproxy_bytes + sizes.kernel_bytes) // sizes.frontend_maxconn,
    )


def _number(value: Value) -> int:
    if not isinstance(value, int):
        raise TypeError(f"{value!r} is not a number")
    return value


def _descriptors(required: Sequence[Requirement], target: str) -> int | None:
    given = (granted_descriptors(r) for r in required if r.target == target)
    return next((number for number in given if number is not None), None)


def _ports(
    stack: Stack,
    wanted: dict[tuple[str, str], Value],
    target: str,
    facts: HostFacts | None,
) -> int:
    """Source ports in a target's namespace: as planned, or the host's own on its network."""
    pair = wanted[HOST if stack.network == "host" else target, PORTS]
    running = facts.sysctls.get(PORTS, "").split() if facts and stack.network == "host" else []
    if len(running) == 2 and all(word.isdigit() for word in running):
        pair = (int(running[0]), int(running[1]))
    if not isinstance(pair, tuple):
        raise TypeError(f"{PORTS} is a pair")
    return usable_ports(pair[0], pair[1])


def _host_number(
    wanted: dict[tuple[str, str], Value], key: str, facts: HostFacts | None
) -> int | None:
    """A host's key as it runs, or as wanted where the host is not known; None for no limit."""
    if facts is not None:
        text = facts.sysctls.get(key, "")
        return int(text) if text.isdigit() and int(text) < INFINITY else None
    return _number(wanted[HOST, key])


def shortfall(stack: Stack, ceilings: Sequence[Ceiling]) -> Ceiling | None:
    """The first ceiling, where it is below the stack's number."""
    lowest = ceilings[0]
    return lowest if lowest.holds < stack.connections else None


def shortfall_sentence(stack: Stack, low: Ceiling) -> str:
    """A ceiling below the stack's number, for people."""
    return (
        f"holds {low.holds} of {stack.connections} connections: {low.limit} of {low.where} is "
        f"reached first. The next client: {low.cause}"
    )


def remedy(stack: Stack, low: Ceiling) -> str:
    """What raises a ceiling."""
    more = f"`replicas: {-(-stack.connections * stack.replicas // max(1, low.holds))}`"
    match low.limit, low.where:
        case (_, "host") if low.limit == MEMORY:
            return "add memory, or lower `connections`"
        case (_, "host" | "datacentre") | ("net.netfilter.nf_conntrack_max", _):
            return f"{PREPARE_HOST}, or lower `connections`"
        case ("net.ipv4.ip_local_port_range", where) if where == OUTWARD:
            wider = f"widen limits.{PORTS}, or set {more}"
            return wider if stack.network == "bridge" else f"{PREPARE_HOST}, or set network: bridge"
        case ("net.ipv4.ip_local_port_range", where) if where == LINK:
            return f"set `link: unix`, which takes no source ports, more `link_ports`, or {more}"
        case _:
            return f"raise limits.{low.limit}, set {more}, or lower `connections`"


def refuse_shortfall(stack: Stack, ceilings: Sequence[Ceiling]) -> None:
    """Strict mode starts nothing that cannot hold its `connections`.

    The host's own requirements say what the host is short of, and a warning says so of its memory.
    The lab's data centre is one address for all replicas, which no server has: the plan only warns
    of that ceiling.

    Raises:
        StrictError: a limit of the stack itself is reached below `connections`.
    """
    low = shortfall(stack, [ceiling for ceiling in ceilings if ceiling.where != OUTWARD])
    if low and low.where not in {HOST, DATACENTRE} and low.limit != TABLE_SIZE:
        raise StrictError(
            f"strict mode: nothing was started\n  {shortfall_sentence(stack, low)}",
            f"{remedy(stack, low)}; or `limits.mode: fit` (--fit) to run as it is",
        )
