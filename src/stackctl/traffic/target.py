"""Whether a stack may be loaded, and its address: only a lab on this machine may."""

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
    """Refuse a load that would leave this machine, or that the stack's own rules refuse.

    Raises:
        PlanError: the load would reach others, or the stack does not accept it.
    """
    if plan.datacentre is None:
        raise PlanError(
            "telemt.datacentre",
            "is telegram: every connection of a load would reach Telegram's data centres or the "
            "fallback site",
            "load a stack with `datacentre: lab`; its limits are the same",
        )
    if load.handshake == "none":
        _check_mask(plan)
    elif load.handshake not in plan.modes:
        raise PlanError(
            "--handshake",
            f"this stack does not allow mode {load.handshake}; it allows {', '.join(plan.modes)}",
            f"use one of these, or add {load.handshake} to telemt.modes",
        )


def _check_mask(plan: Plan) -> None:
    if plan.mask is None:
        raise PlanError(
            "--handshake",
            "none is not MTProto, and with `mask: off` such connections are closed",
            "use secure or tls",
        )
    host = plan.mask[0]
    if plan.datacentre is None or host != plan.datacentre.address:
        raise PlanError(
            "--handshake",
            f"none would reach the fallback site {host}, which is not the lab's own",
            "use secure or tls, or set `mask: auto`",
        )


def check_bounds(plan: Plan, load: Load, sources: int, users: int) -> None:
    """Refuse a load above the stack's own limits for an address or a user.

    Args:
        plan: the stack's plan.
        load: what the operator asks for.
        sources: how many source addresses the load has.
        users: how many users' secrets it uses.

    Raises:
        PlanError: a limit is below what one address or user would hold.
    """
    bounds = plan.bounds
    each = -(-load.connections // sources)
    if 0 < bounds.address_connections < each:
        raise PlanError(
            "per_address.connections",
            f"is {bounds.address_connections}, and the load holds {each} from one address",
            f"open {bounds.address_connections * sources} at most, or raise the limit for the load",
        )
    if load.handshake == "none" or not bounds.user_connections:
        return
    # With `balance: source` one address reaches one replica only.
    replicas = 1 if sources == 1 and plan.balance == "source" else len(plan.replicas)
    most = bounds.user_connections * users * replicas
    if load.connections > most:
        raise PlanError(
            "per_user.connections",
            f"is {bounds.user_connections}, which allows {most} connections of {users} users",
            f"open {most} at most, or raise the limit for the load",
        )


def target_of(stack: Stack, plan: Plan, own_networks: Sequence[str]) -> Target:
    """Where clients reach the stack from this machine itself.

    For a bridged stack this is the bridge's gateway, where the kernel forwards connections. On
    loopback the engine's userland proxy would answer, with its own ports and its own speed.

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
            "listen", f"{host} is not an IPv4 address", "loads use IPv4: listen on IPv4, too"
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
