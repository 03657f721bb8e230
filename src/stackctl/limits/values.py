"""Values as text, and how an observed one compares with a wanted one. Pure."""

from __future__ import annotations

from stackctl.limits.model import INFINITY, Compare, Kind, Value

_TUPLES = frozenset({Kind.PORT_RANGE, Kind.TRIPLE, Kind.SOFT_HARD})


def compact(value: Value) -> str:
    """A value as files spell it: numbers separated by one space, `infinity` for no limit."""
    if isinstance(value, tuple):
        return " ".join(compact(member) for member in value)
    return "infinity" if value == INFINITY else str(value)


def digits(value: Value) -> str:
    """A value as the kernel reads it: numbers only, separated by one space."""
    return " ".join(map(str, value)) if isinstance(value, tuple) else str(value)


def parse(kind: Kind, text: str) -> Value:
    """Text as the kernel or a program prints it, to a value of this kind.

    Raises:
        ValueError: the text is not of this kind.
    """
    text = text.strip()
    if kind is Kind.WORD:
        if not text or len(text.split()) != 1:
            raise ValueError(f"not one word: {text[:60]!r}")
        return text
    numbers = tuple(_number(word) for word in text.split())
    if kind in _TUPLES:
        if len(numbers) != (3 if kind is Kind.TRIPLE else 2):
            raise ValueError(f"not {kind}: {text[:60]!r}")
        return numbers
    if len(numbers) != 1:
        raise ValueError(f"not one number: {text[:60]!r}")
    return numbers[0]


def _number(word: str) -> int:
    return INFINITY if word in {"max", "infinity", "unlimited"} else int(word)


def satisfies(compare: Compare, got: Value, wanted: Value) -> bool:
    """Whether an observed value is in force as wanted.

    Tuples compare member by member; a value of another shape never satisfies.
    """
    if isinstance(got, str) or isinstance(wanted, str):
        return compare is Compare.EQUAL and got == wanted
    mine = got if isinstance(got, tuple) else (got,)
    want = wanted if isinstance(wanted, tuple) else (wanted,)
    if len(mine) != len(want):
        return False
    if compare is Compare.COVERS:
        return len(mine) == 2 and mine[0] <= want[0] and mine[1] >= want[1]
    if compare is Compare.WITHIN:
        return len(mine) == 2 and mine[0] >= want[0] and mine[1] <= want[1]
    if compare is Compare.AT_LEAST:
        return all(a >= b for a, b in zip(mine, want, strict=True))
    if compare is Compare.AT_MOST:
        return all(a <= b for a, b in zip(mine, want, strict=True))
    return mine == want
