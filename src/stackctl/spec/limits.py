"""`limits:` of stack.yaml: the mode, and rows of the limits table overridden by key."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Annotated, Any, Literal, cast

from pydantic import Field

from stackctl.limits import TABLE, Kind, Limit, Value
from stackctl.spec.override import override
from stackctl.spec.part import Part
from stackctl.spec.problem import Problem, RefusedError, nearest, refused, shown
from stackctl.spec.rule import Rule, missing_space, one_of

Mode = Literal["fit", "strict"]
MODE = one_of("fit", "strict")

FOLLOWS = {
    "global_maxconn": "connections",
    "frontend_maxconn": "connections",
    "haproxy_descriptors": "connections",
    "threads": "threads",
    "server_maxconn": "connections and replicas",
    "telemt_max_connections": "connections and replicas",
    "link_ports": "link_ports",
    "pipes": "splice",
}
"""Attribute of plan.sizes.Sizes → the keys of stack.yaml that it follows from."""


class Limits(Part):
    """What stack.yaml says about limits.

    Attributes:
        mode: what to do where the engine cannot grant a limit: lower it, or stop.
        overrides: key of the limits table → value. Flags are 0 or 1, pairs and triples are tuples.
    """

    mode: Annotated[Mode, MODE] = Field(
        default="fit",
        description="What happens where the engine cannot grant a limit. fit: the limit is "
        "lowered, and every report says so. strict: nothing is started, and the limit is named.",
        examples=["strict"],
    )
    overrides: Mapping[str, Value] = Field(
        default=MappingProxyType({}),
        description="A limit of the limits table by its key, with a value of your own. "
        "`stackctl limits KEY` explains each.",
        examples=[
            {
                "nofile": {"soft": 1048576, "hard": 1048576},
                "net.ipv4.ip_local_port_range": [10000, 65535],
            }
        ],
    )


def overridable(row: Limit) -> bool:
    """Whether stack.yaml may give this row another value.

    It may not for rows that follow from other keys, unless the row allows it. Nor for the flags and
    words of section 4: the stack is built on them, they are no numbers to tune.
    """
    return (not row.derive or row.own_number) and not _made_of(row)


def _made_of(row: Limit) -> bool:
    return row.section == "4" and row.kind in (Kind.FLAG, Kind.WORD)


def _limits(raw: object) -> Limits:
    if isinstance(raw, Limits):
        return raw
    if not isinstance(raw, Mapping):
        hint = missing_space(raw) if isinstance(raw, str) else ""
        remedy = f"write {hint}" if hint else "write keys below it, such as mode: fit"
        raise refused(f"{shown(raw)} is not a mapping", remedy)
    values: dict[str, Value] = {}
    problems: list[Problem] = []
    mode = "fit"
    for key, value in raw.items():
        try:
            if key == "mode":
                mode = str(MODE.check(value))
            else:
                values[key] = override(_row(key), value)
        except RefusedError as refusal:
            problems += [problem.below(key) for problem in refusal.problems]
    if problems:
        raise RefusedError(*problems)
    # Not validated again, because pydantic would copy the read-only mapping into a plain dict.
    return Limits.model_construct(mode=cast("Mode", mode), overrides=MappingProxyType(values))


def _row(key: str) -> Limit:
    row = TABLE.get(key)
    if row is None:
        known = ["mode", *(key for key, row in TABLE.items() if overridable(row))]
        remedy = nearest(key, known, "`stackctl limits` lists the keys")
        raise refused("there is no such limit", remedy)
    if row.derive and not row.own_number:
        follows = FOLLOWS.get(row.derive, "connections")
        raise refused(f"follows from {follows}", f"set {follows}, and remove this key")
    if _made_of(row):
        raise refused(f"is always {row.wanted}: the stack is built on it", "remove this key")
    return row


def _dump(limits: Limits) -> dict[str, Any]:
    return {"mode": limits.mode} | {
        key: {"soft": value[0], "hard": value[1]}
        if TABLE[key].kind is Kind.SOFT_HARD and isinstance(value, tuple)
        else list(value)
        if isinstance(value, tuple)
        else value
        for key, value in limits.overrides.items()
    }


LIMITS = Rule(_limits, {"type": "object"}, _dump)
