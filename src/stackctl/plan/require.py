"""From a row of the limits table to the requirements of a stack."""

from __future__ import annotations

from dataclasses import dataclass

from stackctl.limits import (
    HOST_PLACES,
    INFINITY,
    TABLE,
    Compare,
    Kind,
    Limit,
    Place,
    Role,
    Scope,
    Setting,
    Value,
)
from stackctl.limits.rows import PREPARE_HOST
from stackctl.limits.targets import HAPROXY, HOST
from stackctl.limits.values import compact, digits, parse
from stackctl.plan.model import HostFacts, Replica, Requirement, Written
from stackctl.plan.sizes import Sizes
from stackctl.spec import Stack

LEFT_ALONE = "a lab leaves the host as it is"


@dataclass(frozen=True, slots=True)
class Refusal:
    """A limit that the host or engine cannot grant: key, ceiling in words, and remedy."""

    key: str
    problem: str
    remedy: str
    absent: bool = False
    """Whether the kernel has no such knob: then it is left alone, not fitted."""


def wanted_of(limit: Limit, stack: Stack, sizes: Sizes) -> Value:
    """The value a stack wants: overridden, derived from `connections`, or the row's own."""
    if limit.key in stack.limits.overrides:
        return stack.limits.overrides[limit.key]
    if limit.derive:
        value: int = getattr(sizes, limit.derive)
        return value
    if limit.wanted is None:
        raise ValueError(f"row {limit.key} has neither a value nor a derivation")
    return limit.wanted


def targets_of(limit: Limit, network: str, replicas: tuple[Replica, ...]) -> tuple[str, ...]:
    """Where a limit is required. In host mode a namespace's limits are the host's own."""
    roles = limit.on
    if network == "host" and limit.scope is Scope.NETNS:
        roles = (Role.HOST,)
    names: list[str] = []
    for role in roles:
        if role is Role.HOST:
            names.append(HOST)
        elif role is Role.HAPROXY:
            names.append(HAPROXY)
        elif role is Role.TELEMT:
            names.extend(replica.name for replica in replicas)
        else:
            names.extend(f"{HAPROXY}/{replica.name}" for replica in replicas)
    return tuple(names)


def ulimit_of(limit: Limit) -> str:
    """The ulimit that compose sets for this row, or ""."""
    names = [s.where for s in limit.settings if s.place is Place.COMPOSE_ULIMIT]
    return names[0] if names else ""


def requirements(
    stack: Stack, sizes: Sizes, replicas: tuple[Replica, ...], facts: HostFacts | None
) -> tuple[tuple[Requirement, ...], tuple[Refusal, ...]]:
    """Every row of the limits table resolved for a stack, in the table's order.

    Returns:
        the requirements, fitted to the host where it is known, and the refusals. In strict mode a
        refusal stops everything.
    """
    required: list[Requirement] = []
    refused: dict[str, Refusal] = {}
    for limit in TABLE.values():
        if not _applies(limit, stack):
            continue
        wanted = wanted_of(limit, stack, sizes)
        granted, refusal = _granted(limit, wanted, stack, facts)
        for target in targets_of(limit, stack.network, replicas):
            in_container = target != HOST
            absent = bool(refusal and refusal.absent and in_container)
            if refusal and in_container:
                refused[limit.key] = refusal
            required.append(
                Requirement(
                    limit=limit.key,
                    target=target,
                    wanted=granted if in_container else wanted,
                    written=tuple(
                        _write(setting, limit, granted if in_container else wanted, facts)
                        for setting in limit.settings
                        if (setting.place in HOST_PLACES) != in_container
                        and not (absent and setting.place is Place.COMPOSE_SYSCTL)
                    ),
                    fitted=refusal.problem if refusal and in_container and not absent else "",
                    left=_left(stack, refusal, in_container),
                    way_out=_way_out(refusal, in_container),
                    chosen=limit.key in stack.limits.overrides,
                )
            )
    return tuple(required), tuple(refused.values())


def _applies(limit: Limit, stack: Stack) -> bool:
    return (
        limit.link in ("", stack.link)
        and limit.network in ("", stack.network)
        and limit.buffers in ("", stack.buffers)
    )


def _left(stack: Stack, refusal: Refusal | None, in_container: bool) -> str:
    if stack.limits.mode != "fit":
        return ""
    if not in_container:
        return LEFT_ALONE
    return refusal.problem if refusal and refusal.absent else ""


def _way_out(refusal: Refusal | None, in_container: bool) -> str:
    if not in_container:
        return PREPARE_HOST
    return refusal.remedy if refusal else ""


def _granted(
    limit: Limit, wanted: Value, stack: Stack, facts: HostFacts | None
) -> tuple[Value, Refusal | None]:
    """What the engine can grant a container, and the refusal where that is less than `wanted`."""
    if limit.ceiling:
        cap = stack.limits.overrides.get(limit.ceiling, TABLE[limit.ceiling].wanted)
        if isinstance(cap, int) and isinstance(wanted, int):
            wanted = min(wanted, cap)
    if facts is None:
        return wanted, None
    for setting in limit.settings:
        if setting.place is Place.COMPOSE_SYSCTL and setting.where not in facts.sysctls:
            return wanted, Refusal(
                limit.key,
                "this host's kernel has no such key, so no container can have it",
                f"load its module on the host and run again; {PREPARE_HOST}",
                absent=True,
            )
    if limit.ceiling and stack.network == "host":
        running = facts.sysctls.get(limit.ceiling, "")
        if running.isdigit() and isinstance(wanted, int) and int(running) < wanted:
            return int(running), Refusal(
                limit.key,
                f"this host's {limit.ceiling} is {running} and caps it",
                PREPARE_HOST,
            )
    ulimit = ulimit_of(limit)
    ceiling = facts.ceilings.get(ulimit, INFINITY)
    if ulimit and isinstance(wanted, tuple) and max(wanted) > ceiling:
        return tuple(min(member, ceiling) for member in wanted), Refusal(
            limit.key,
            f"this engine can grant at most {ceiling}, not {max(wanted)}",
            "start the engine with a higher hard limit or with CAP_SYS_RESOURCE "
            f"(`stackctl host apply` raises it), or set limits.{limit.key} lower",
        )
    choices = facts.choices.get(limit.key)
    if choices and wanted not in choices:
        return choices[0], Refusal(
            limit.key,
            f"this host lets containers use {', '.join(choices)}, not {wanted}",
            f"load its module and set {limit.key}={wanted} on the host (`stackctl host apply`)",
        )
    return wanted, None


_SYSCTLS = frozenset({Place.SYSCTL_D, Place.COMPOSE_SYSCTL})


def _write(setting: Setting, limit: Limit, value: Value, facts: HostFacts | None) -> Written:
    sysctl = setting.place in _SYSCTLS
    if sysctl and facts is not None:
        value = _never_lower(limit, value, facts.sysctls.get(setting.where, ""))
    # The kernel reads numbers only, however large.
    text = digits(value) if sysctl else compact(value)
    return Written(
        setting.place,
        setting.where,
        setting.text.replace("{}", text) if setting.text else text,
        value,
    )


def _never_lower(limit: Limit, value: Value, running: str) -> Value:
    """A value that the host has, or that a new namespace inherits, is raised and never lowered."""
    if limit.compare is not Compare.AT_LEAST or (
        limit.scope is Scope.NETNS and (limit.kind is not Kind.TRIPLE)
    ):
        return value
    try:
        has = parse(limit.kind, running)
    except ValueError:
        return value
    if isinstance(value, tuple) and isinstance(has, tuple):
        return tuple(max(pair) for pair in zip(value, has, strict=True))
    if isinstance(value, int) and isinstance(has, int):
        return max(value, has)
    return value


def granted_descriptors(requirement: Requirement) -> int | None:
    """The soft nofile that this requirement gives a container; None if it sets none."""
    for written in requirement.written:
        if written.place is Place.COMPOSE_ULIMIT and written.where == "nofile":
            return written.value[0] if isinstance(written.value, tuple) else None
    return None
