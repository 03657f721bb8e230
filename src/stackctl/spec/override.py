"""One row of the limits table overridden in stack.yaml: its value, by the row's kind."""

from __future__ import annotations

import re
from collections.abc import Mapping

from stackctl.limits import INFINITY, Kind, Limit, Value
from stackctl.spec.problem import Problem, RefusedError, refused, shown
from stackctl.spec.rule import missing_space, text, whole_number

INT_MAX = 2**31 - 1
"""Most numbers of the kernel and HAProxy are C ints. Only a row whose own value is larger may
exceed one."""
MAX_TIMER_SECONDS = INT_MAX // 1000
"""HAProxy counts time in milliseconds in a C int."""
FIRST_PORT = 1024
"""The kernel's default of ip_unprivileged_port_start."""


def override(row: Limit, raw: object) -> Value:
    """A row's value: as stack.yaml spells it → as the plan uses it.

    Raises:
        RefusedError: wrong type or out of range; problems are placed inside the value.
    """
    low, high = bounds(row)
    match row.kind:
        case Kind.FLAG:
            return int(raw) if isinstance(raw, bool) else whole_number(raw, 0, 1)
        case Kind.WORD:
            return _word(raw)
        case Kind.PORT_RANGE:
            return _port_range(raw)
        case Kind.TRIPLE:
            return _ascending(raw, ("min", "default", "max"), low, high)
        case Kind.SOFT_HARD:
            return _soft_hard(raw, low, high)
        case Kind.COUNT | Kind.BYTES | Kind.SECONDS | Kind.MILLISECONDS:
            return whole_number(raw, low, high)


def bounds(row: Limit) -> tuple[int, int]:
    """Least and greatest number a row may be overridden with, in the unit of its kind."""
    if row.kind is Kind.SECONDS:
        return 1, MAX_TIMER_SECONDS
    numbers = row.wanted if isinstance(row.wanted, tuple) else (row.wanted,)
    far = any(isinstance(number, int) and number > INT_MAX for number in numbers)
    return 1, INFINITY if far else INT_MAX


def _word(raw: object) -> str:
    word = text(raw)
    if not re.fullmatch(r"[a-z0-9_]{1,32}", word, re.ASCII):
        raise refused(f"{shown(word)} cannot be used here", "write one word of a-z, 0-9 and _")
    return word


def _port_range(raw: object) -> tuple[int, int]:
    low, high = _numbers(raw, ("lowest", "highest"), 1, 65535)
    if low < FIRST_PORT:
        # The engine sets a container's sysctls in random order, and the kernel refuses a range
        # that begins below ip_unprivileged_port_start.
        problem = f"{low} is below ip_unprivileged_port_start ({FIRST_PORT})"
        why = "containers would start or fail at random, as runc sets the two sysctls in any order"
        raise refused(f"{problem}: {why}", f"begin the range at {FIRST_PORT} or above", 0)
    if low >= high:
        raise refused(f"the range {low} to {high} is empty", "write [lowest, highest]")
    return low, high


def _ascending(raw: object, names: tuple[str, ...], low: int, high: int) -> tuple[int, ...]:
    numbers = _numbers(raw, names, low, high)
    if list(numbers) != sorted(numbers):
        order = f"{', '.join(names[:-1])} and {names[-1]}"
        raise refused(
            f"{list(numbers)} does not ascend", f"write {order}, each at least the one before"
        )
    return numbers


def _numbers(raw: object, names: tuple[str, ...], low: int, high: int) -> tuple[int, ...]:
    if not isinstance(raw, list | tuple) or len(raw) != len(names):
        count = f" of {len(raw)}" if isinstance(raw, list | tuple) else ""
        spelled = f"write [{', '.join(names)}]"
        raise refused(f"{shown(raw)}{count} is not a list of {len(names)} numbers", spelled)
    return tuple(whole_number(number, low, high, at) for at, number in enumerate(raw))


def _soft_hard(raw: object, low: int, high: int) -> tuple[int, int]:
    if isinstance(raw, list | tuple):
        raise refused(
            "a list cannot be used here", "write {soft: NUMBER, hard: NUMBER}, or one NUMBER"
        )
    if not isinstance(raw, Mapping):
        both = whole_number(raw, low, high)
        return both, both
    problems: list[Problem] = []
    found: dict[str, int] = {}
    for key in dict.fromkeys(("soft", "hard", *raw)):
        try:
            if key not in ("soft", "hard"):
                hint = missing_space(key)
                remedy = f"write {hint}, with a space" if hint else "write soft and hard"
                raise refused("is not a known key", remedy, key)
            if any(word.startswith(f"{key}:") for word in raw):
                continue
            if key not in raw:
                raise refused("is missing", "write soft and hard, or one number for both", key)
            found[key] = whole_number(raw[key], low, high, key)
        except RefusedError as refusal:
            problems += refusal.problems
    if problems:
        raise RefusedError(*problems)
    soft, hard = found["soft"], found["hard"]
    if hard < soft:
        raise refused(f"{hard} is below soft {soft}", "raise hard, or lower soft", "hard")
    return soft, hard
