"""TCP links: how many ports a replica listens on, and whether its pairs carry the stack's number.

HAProxy has one address, so what it can open to a replica is its range of source ports for each port
the replica listens on. connect() takes a free one at once while less than half are taken; then it
has to search (66 to 100 µs became 1,300 to 1,800), and at the end it fails.
"""

from __future__ import annotations

from stackctl.errors import PlanError
from stackctl.limits import TABLE
from stackctl.plan.sizes import Sizes, fair_share, link_ports_for, replica_share, usable_ports
from stackctl.spec import MOST_LINK_PORTS, Stack

PORTS = "net.ipv4.ip_local_port_range"


def port_range(stack: Stack) -> tuple[int, int]:
    """The source ports of HAProxy's namespace as stack.yaml wants them, inclusive."""
    pair = stack.limits.overrides.get(PORTS, TABLE[PORTS].wanted)
    if not isinstance(pair, tuple):
        raise TypeError(f"{PORTS} is a pair")
    return pair[0], pair[1]


def link_ports(stack: Stack) -> int:
    """Ports each replica listens on: given, or enough for it to carry a lost neighbour's share.

    It follows from stack.yaml alone: verification asks the probe about them before it knows the
    host.
    """
    if stack.link == "unix":
        return 1
    if stack.link_ports:
        return stack.link_ports
    share = replica_share(stack.connections, stack.replicas)
    needed = link_ports_for(share, usable_ports(*port_range(stack)), stack.port_share)
    return min(MOST_LINK_PORTS, needed)


def check_links(stack: Stack, sizes: Sizes) -> None:
    """Refuse TCP links that would use more than `port_share` percent of their ports.

    Raises:
        PlanError: with every key that would make it fit.
    """
    if stack.link == "unix":
        return
    each = fair_share(stack.connections, stack.replicas)
    allowed = sizes.ports_per_link * stack.port_share
    if each * 100 <= allowed:
        return
    used = each * 100 / sizes.ports_per_link
    ways = [
        "set `link: unix`, which has no ports",
        f"`replicas: {-(-stack.connections * 100 // allowed)}` or more",
    ]
    pair = sizes.ports_per_link // sizes.link_ports
    needed = link_ports_for(each, pair, stack.port_share)
    if needed <= MOST_LINK_PORTS:
        ways.append(f"`link_ports: {needed}` or more")
    if used <= 100:
        share = -(-each * 100 // sizes.ports_per_link)
        ways.append(f"`port_share: {share}` to search all the same")
    raise PlanError(
        "link",
        f"tcp: {each} connections to each of {stack.replicas} "
        f"replica{'s' if stack.replicas > 1 else ''} are {used:.0f} % of the "
        f"{sizes.ports_per_link} source ports towards it; above {stack.port_share} % connect() has "
        "to search for a free one, and at 100 % it fails",
        ", or ".join(ways),
    )
