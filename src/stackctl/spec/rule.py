"""Rules: how one kind of value is checked, and how the JSON Schema says the same.

Values end up in haproxy.cfg, compose files and shell scripts. So every text is checked against the
characters that are allowed, never against those that are forbidden.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from stackctl.spec.problem import nearest, refused, shown

if TYPE_CHECKING:
    from pydantic import GetCoreSchemaHandler, GetJsonSchemaHandler
    from pydantic_core import CoreSchema


@dataclass(frozen=True, slots=True)
class Rule:
    """One kind of value; stands in `Annotated[type, Rule(...)]` of a pydantic field.

    Attributes:
        check: the file's value → the model's value, or `RefusedError`.
        schema: the JSON Schema of the file's value.
        dump: the model's value → the file's value.
    """

    check: Callable[[object], object]
    schema: Mapping[str, Any]
    dump: Callable[[Any], object] | None = None

    def __get_pydantic_core_schema__(
        self, source: object, handler: GetCoreSchemaHandler
    ) -> CoreSchema:
        from pydantic_core import core_schema

        dump = self.dump and core_schema.plain_serializer_function_ser_schema(self.dump)
        return core_schema.no_info_plain_validator_function(self.check, serialization=dump)

    def __get_pydantic_json_schema__(
        self, schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> dict[str, Any]:
        return dict(self.schema)


def whole(low: int, high: int) -> Rule:
    """A whole number from `low` to `high`."""
    schema = {"type": "integer", "minimum": low, "maximum": high}
    return Rule(lambda raw: whole_number(raw, low, high), schema)


def whole_number(raw: object, low: int, high: int, *at: str | int) -> int:
    """A whole number from `low` to `high`; `at` is its place inside the value being read.

    Raises:
        RefusedError: anything else; it says what the value looks like.
    """
    wanted = f"write a whole number from {low} to {high}"
    if isinstance(raw, int) and not isinstance(raw, bool):
        if low <= raw <= high:
            return raw
        raise refused(f"{shown(raw)} is out of range", wanted, *at)
    if raw is None:
        raise refused("has no value", f"{wanted}, or remove the key", *at)
    if isinstance(raw, str):
        if re.fullmatch(r"\s*[0-9]{1,19}\s*", raw, re.ASCII):
            remedy = f"write {int(raw)}, without quotes"
            raise refused(f"{shown(raw)} is text in quotes, not a number", remedy, *at)
        if words := missing_space(raw):
            raise refused(f"{shown(raw)} lacks a space after the colon", f"write {words}", *at)
        if re.fullmatch(r"[0-9]{1,19}\s*[A-Za-z]{1,7}", raw, re.ASCII):
            remedy = f"{wanted}, without a unit"
            raise refused(f"{shown(raw)} is not a number", remedy, *at)
    raise refused(f"{shown(raw)} is not a whole number", wanted, *at)


def power_of_two(low: int, high: int) -> Rule:
    """A power of two from `low` to `high`, or 0. The kernel would round other numbers up.

    Args:
        low: the least, itself a power of two.
        high: the greatest, itself a power of two.
    """
    powers = [1 << bit for bit in range(low.bit_length() - 1, high.bit_length())]

    def check(raw: object) -> int:
        number = whole_number(raw, 0, high)
        if number and number not in powers:
            next_one = max(low, 1 << number.bit_length())
            raise refused(
                f"{number} is not a power of two of at least {low}", f"write {next_one}, or 0"
            )
        return number

    return Rule(check, {"enum": [0, *powers]})


def missing_space(raw: str) -> str:
    """`soft: 1048576` for `soft:1048576`, which YAML reads as one word; empty for other text."""
    pair = r"([a-z_.]{1,40}):([0-9]{1,19})"
    if not re.fullmatch(rf"{pair}(?: {pair}){{0,2}}", raw, re.ASCII):
        return ""
    return ", ".join(f"{key}: {value}" for key, value in re.findall(pair, raw))


def truth(raw: object) -> bool:
    """true or false; YAML 1.1's yes, no, on and off are text.

    Raises:
        RefusedError: anything else.
    """
    if isinstance(raw, bool):
        return raw
    problem = f"{shown(raw)} is neither true nor false"
    if isinstance(raw, str) and raw.lower() in ("yes", "on", "y", "no", "off", "n"):
        problem = f"{shown(raw)} is text in YAML 1.2, not true or false"
        raise refused(problem, f"write {shown(raw.lower() in ('yes', 'on', 'y'))}")
    raise refused(problem, "write true or false")


TRUTH = Rule(truth, {"type": "boolean"})


def one_of(*words: str) -> Rule:
    """One of a few words."""

    def check(raw: object) -> str:
        if isinstance(raw, str) and raw in words:
            return raw
        known = ", ".join(words[:-1]) + f" or {words[-1]}"
        close = nearest(raw, words, "") if isinstance(raw, str) else ""
        raise refused(f"{shown(raw)} is not a known value", close or f"write {known}")

    return Rule(check, {"type": "string", "enum": list(words)})


def some_of(*words: str) -> Rule:
    """One or more of a few words, each once; the model has them in the order given here."""
    wanted = (
        f"write a list of {', '.join(words[:-1])} or {words[-1]}, such as [{', '.join(words[1:])}]"
    )

    def check(raw: object) -> tuple[str, ...]:
        if not isinstance(raw, list | tuple):
            raise refused(f"{shown(raw)} is not a list", wanted)
        if not raw:
            raise refused("is empty", wanted)
        for at, word in enumerate(raw):
            if not isinstance(word, str) or word not in words:
                close = nearest(word, words, "") if isinstance(word, str) else ""
                raise refused(f"{shown(word)} is not a known value", close or wanted, at)
            if word in raw[:at]:
                raise refused(f"{shown(word)} is there twice", "write it once", at)
        return tuple(word for word in words if word in raw)

    items = {"type": "string", "enum": list(words)}
    return Rule(check, {"type": "array", "items": items, "minItems": 1, "uniqueItems": True}, list)


def text(raw: object) -> str:
    """Any text.

    Raises:
        RefusedError: a number, a list, nothing, ...
    """
    if isinstance(raw, str):
        return raw
    if isinstance(raw, int):
        remedy = f'put it in quotes: "{shown(raw)}"'
        raise refused(f"{shown(raw)} is not text", remedy)
    if raw is None:
        raise refused("has no value", "write one, or remove the key")
    raise refused(f"{shown(raw)} is not text", "write one word")


def matching(pattern: str, remedy: str, longest: int) -> Rule:
    """Text that matches `pattern` as a whole.

    Args:
        pattern: a regular expression that Python and JSON Schema (ECMA 262) read alike.
        remedy: what is allowed, as an instruction.
        longest: most characters.
    """
    compiled = re.compile(pattern, re.ASCII)

    def check(raw: object) -> str:
        value = text(raw)
        if len(value) <= longest and compiled.fullmatch(value):
            return value
        raise refused(f"{shown(value)} cannot be used here", remedy)

    return Rule(check, {"type": "string", "pattern": f"^{pattern}$", "maxLength": longest})
