"""Whether a stack may be loaded, and where its clients come in: this machine's own lab alone."""

from __future__ import annotations

from collections.abc import Sequence
from ipaddress import AddressValueError, IPv4Address, IPv4Network

from stackctl.errors import PlanError
from stackctl.mtproto import Secret
from stackctl.plan import Plan
from stackctl.plan.address import GATEWAY_HOST
from stackctl.spec import Secrets, Stack
from stackctl.traffic.model import Load, Target

ANY = ("0.0.0.0", "::", "")  # noqa: S104 - to recognise it


def check_may_be_loaded(plan: Plan, load: Load) -> None:
    """A load must end inside this machine, and the stack must be able to take it.

    Raises:
        PlanError: it would reach others, or the stack refuses it by its own rules.
    """
    if plan.datacentre is None:
        raise PlanError(
            "telemt.datacentre",
            "is telegram: every connection of a load would go on to Telegram's data centres, or "
            "to the site of the mask",
            "load a stack with `datacentre: lab`; the limits are the same",
        )
    if load.handshake == "none":
        _check_mask(plan)
    elif load.handshake not in plan.modes:
        raise PlanError(
            "--handshake",
            f"{load.handshake} is not spoken by this stack, which has {', '.join(plan.modes)}",
            f"take one of these, or add {load.handshake} to telemt.modes",
        )


def _check_mask(plan: Plan) -> None:
    if plan.mask is None:
        raise PlanError(
            "--handshake",
            "none: a stranger, and with `mask: off` strangers are closed",
            "take secure or tls",
        )
    host = plan.mask[0]
    if plan.datacentre is None or host != plan.datacentre.address:
        raise PlanError(
            "--handshake",
            f"none: strangers are passed on to {host}, which is not the lab's own site",
            "take secure or tls, or set `mask: auto`",
        )


def check_bounds(plan: Plan, load: Load, sources: int, users: int) -> None:
    """The stack's own bounds on addresses and users must let the load in.

    Args:
        plan: the stack's.
        load: what is asked.
        sources: addresses it comes from.
        users: whose secrets it shows.

    Raises:
        PlanError: a bound is below what one address or user would hold.
    """
    bounds = plan.bounds
    each = -(-load.connections // sources)
    if 0 < bounds.address_connections < each:
        raise PlanError(
            "per_address.connections",
            f"is {bounds.address_connections}, and the load holds {each} from one address",
            f"open {bounds.address_connections * sources} at most, or raise it for the load",
        )
    if load.handshake == "none" or not bounds.user_connections:
        return
    # Where one address always meets one replica, that replica alone counts.
    replicas = 1 if sources == 1 and plan.balance == "source" else len(plan.replicas)
    most = bounds.user_connections * users * replicas
    if load.connections > most:
        raise PlanError(
            "per_user.connections",
            f"is {bounds.user_connections}, which lets {most} connections of {users} users in",
            f"open {most} at most, or raise it for the load",
        )


def target_of(stack: Stack, plan: Plan, own_networks: Sequence[str]) -> Target:
    """Where clients reach the stack from this machine itself.

    On loopback of a bridged stack the engine's userland proxy would answer, with ports and a pace
    of its own: its gateway is taken, where the kernel passes connections on.

    Raises:
        PlanError: the address is not an IPv4 address.
    """
    host = stack.listen.host
    if not host or host in ANY:
        bridged = stack.network == "bridge" and own_networks
        host = str(IPv4Network(own_networks[0])[GATEWAY_HOST]) if bridged else "127.0.0.1"
    try:
        IPv4Address(host)
    except AddressValueError as error:
        raise PlanError(
            "listen", f"{host} is no IPv4 address", "loads are made over IPv4: listen there too"
        ) from error
    return Target(
        host=host,
        port=stack.listen.port,
        domain=stack.telemt.domain,
        balanced_by_source=stack.balance == "source",
        replicas=len(plan.replicas),
    )


def client_secrets(stack: Stack, secrets: Secrets, load: Load) -> tuple[Secret, ...]:
    """Every user's secret, in the form that the handshake shows."""
    if load.handshake == "none":
        return ()
    domain = stack.telemt.domain if load.handshake == "tls" else ""
    return tuple(
        Secret(load.handshake, bytes.fromhex(digits), domain) for digits in secrets.users.values()
    )
