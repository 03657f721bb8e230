"""What the operator should know before starting: what the topology costs, in figures."""

from __future__ import annotations

from collections.abc import Iterator

from stackctl.plan.carry import remedy, shortfall_sentence
from stackctl.plan.model import HostFacts, Sources
from stackctl.plan.predict import Ceiling
from stackctl.plan.sizes import PORT_SHARE, Sizes, fair_share
from stackctl.spec import Stack


def warnings(
    stack: Stack,
    sizes: Sizes,
    sources: Sources,
    facts: HostFacts | None,
    low: Ceiling | None = None,
) -> tuple[str, ...]:
    """Sentences for the plan's reader, most important first.

    Args:
        stack: the validated file.
        sizes: its numbers.
        sources: which images run.
        facts: the host, where it is known.
        low: the first ceiling, where it is below `connections`.
    """
    return (
        *_shortfall(stack, low),
        *_sources(stack, sources),
        *_digests(stack, sources),
        *_ports(stack, sizes),
        *_spare(stack, sizes),
        *_conntrack(stack, facts),
        *_addresses(stack),
        *_inner_hop(stack),
        *_traffic(stack),
        *_replicas(stack, sizes),
        *_bounds(stack),
    )


def _shortfall(stack: Stack, low: Ceiling | None) -> Iterator[str]:
    if low:
        yield f"capacity: {shortfall_sentence(stack, low)}; {remedy(stack, low)}"


def _sources(stack: Stack, sources: Sources) -> Iterator[str]:
    if sources.telemt == "double":
        yield ("telemt: the lab DOUBLE runs in place of Telemt; it is for labs and tests alone")
    elif stack.telemt.source == "auto":
        yield (
            "telemt.source auto: the plan has the official image; where it cannot be pulled, `up` "
            "runs the lab double and says so"
        )


def _digests(stack: Stack, sources: Sources) -> Iterator[str]:
    if stack.limits.mode != "strict":
        return
    pairs = (("haproxy", sources.haproxy, stack.haproxy), ("telemt", sources.telemt, stack.telemt))
    loose = [name for name, source, part in pairs if source == "official" and not part.digest]
    if loose:
        yield (
            f"{' and '.join(f'{name}.digest' for name in loose)} not set: a tag can move to "
            "another image, a digest cannot; after a pull `docker image inspect --format "
            "'{{index .RepoDigests 0}}' IMAGE` shows the digest"
        )


def _ports(stack: Stack, sizes: Sizes) -> Iterator[str]:
    each = fair_share(stack.connections, stack.replicas)
    if stack.link == "tcp" and each > PORT_SHARE * sizes.ports_per_link:
        yield (
            f"link tcp: {each} connections to each replica are "
            f"{each * 100 // sizes.ports_per_link} % of the {sizes.ports_per_link} ports of a "
            f"link, as port_share allows; above {PORT_SHARE:.0%} every connect() has to search for "
            "a port. `link: unix` takes no source ports"
        )


def _spare(stack: Stack, sizes: Sizes) -> Iterator[str]:
    others = stack.replicas - 1
    if others and sizes.server_maxconn * others < stack.connections:
        yield (
            f"replicas: with one of {stack.replicas} lost, the others take "
            f"{sizes.server_maxconn * others} of {stack.connections} connections; add replicas"
        )


def _conntrack(stack: Stack, facts: HostFacts | None) -> Iterator[str]:
    # A published port is translated, and translated connections are always tracked.
    if facts and facts.tracked is False and stack.network == "host":
        yield (
            "conntrack: not in the way: no rule tracks the connections of this host, so they take "
            "no entries; a stateful firewall that is loaded later would change that"
        )


def _addresses(stack: Stack) -> Iterator[str]:
    if stack.network == "bridge":
        yield (
            "network bridge: a client that connects to this machine's 127.0.0.1 passes the "
            "userland proxy and arrives with the bridge's address; other clients keep their own"
        )


def _inner_hop(stack: Stack) -> Iterator[str]:
    if stack.link == "tcp" and stack.network == "host":
        yield (
            "link tcp on the host's network: one namespace has one congestion control, so the hop "
            "between HAProxy and its replicas uses the clients' bbr, at about half the bandwidth; "
            "`link: unix` needs no congestion control"
        )


def _traffic(stack: Stack) -> Iterator[str]:
    if stack.telemt.datacentre == "lab":
        yield (
            "telemt.datacentre lab: clients reach the lab's data centre inside the stack, not "
            "Telegram's; set `datacentre: telegram` before anyone gets a link"
        )
    if "classic" in stack.telemt.modes:
        yield (
            "telemt.modes classic: censors easily recognise and block its traffic; links of the "
            "other modes work in every current client"
        )


def _replicas(stack: Stack, sizes: Sizes) -> Iterator[str]:
    if stack.replicas == 1:
        return
    yield (
        f"replicas {stack.replicas}: each Telemt keeps replay caches, quotas and per-user limits "
        f"on its own; each replica takes up to {sizes.server_maxconn} connections"
    )
    if stack.balance == "source":
        yield (
            "balance source: a client's address stays on one replica, so many clients behind one "
            "address all go to the same replica"
        )
    else:
        yield (
            "balance leastconn: the load is even, but a client that reconnects may reach another "
            "replica, which does not know its session and limits"
        )


def _bounds(stack: Stack) -> Iterator[str]:
    user = stack.per_user
    n = stack.replicas
    if n > 1 and any((user.connections, user.addresses, user.quota_mib)):
        if stack.balance == "source":
            yield (
                "per_user: each replica allows the whole number, because a client's address stays "
                f"on one replica; a user whose addresses are on several replicas gets up to {n} "
                "times as much"
            )
        else:
            yield (
                f"per_user: the numbers are divided by {n} replicas, because leastconn spreads a "
                "user's connections; a user whose connections meet on one replica gets less"
            )
    address = stack.per_address
    if not (address.connections or address.rate):
        yield (
            "per_address: no bound, so one address can take every connection of the stack; set "
            "`per_address: {connections: N}` above the largest group behind one address"
        )
