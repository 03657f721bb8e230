"""TCP links: how many ports a replica listens on, and whether they carry the stack's connections.

HAProxy has one address, so it can open one range of source ports to each port that a replica
listens on. While less than half of a range is taken, connect() finds a free port at once. Then it
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
    """Ports that each replica listens on: as given, or enough for a lost replica's share too.

    The number follows from stack.yaml alone, because verification asks the collector about these
    ports before it knows the host.
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
        PlanError: more would be used; the remedy names every key that makes it fit.
    """
    if stack.link == "unix":
        return
    each = fair_share(stack.connections, stack.replicas)
    allowed = sizes.ports_per_link * stack.port_share
    if each * 100 <= allowed:
        return
    used = each * 100 / sizes.ports_per_link
    ways = [
        "set `link: unix`, which takes no source ports",
        f"`replicas: {-(-stack.connections * 100 // allowed)}` or more",
    ]
    pair = sizes.ports_per_link // sizes.link_ports
    needed = link_ports_for(each, pair, stack.port_share)
    if needed <= MOST_LINK_PORTS:
        ways.append(f"`link_ports: {needed}` or more")
    if used <= 100:
        share = -(-each * 100 // sizes.ports_per_link)
        ways.append(f"`port_share: {share}`, and connect() searches")
    raise PlanError(
        "link",
        f"tcp: {each} connections to each of {stack.replicas} "
        f"replica{'s' if stack.replicas > 1 else ''} are {used:.0f} % of the "
        f"{sizes.ports_per_link} source ports towards it; above {stack.port_share} % connect() has "
        "to search for a free one, and at 100 % it fails",
        ", or ".join(ways),
    )
