"""The types of request and answer to JSON and back. Pure."""

from __future__ import annotations

import types
from dataclasses import MISSING, fields, is_dataclass
from functools import cache
from typing import Any, TypeVar, Union, get_args, get_origin, get_type_hints

T = TypeVar("T")


class WireError(ValueError):
    """The JSON does not have the expected type; the text says where."""


def encode(value: Any) -> Any:
    """A value of these types in a form that `json` can write. Fields at defaults are left out."""
    if is_dataclass(value) and not isinstance(value, type):
        return {
            row.name: encode(found)
            for row in fields(value)
            if (found := getattr(value, row.name)) != _default(row)
        }
    if isinstance(value, dict):
        return {key: encode(found) for key, found in value.items()}
    if isinstance(value, list | tuple):
        return [encode(found) for found in value]
    return value


def decode(kind: type[T], raw: object) -> T:
    """A value of a type, from what `json` has read.

    Raises:
        WireError: a key is missing, unknown, or of another type.
    """
    found: T = _decode(kind, raw, "", {})
    return found


def _default(row: Any) -> Any:
    if row.default_factory is not MISSING:
        return row.default_factory()
    return row.default


@cache
def _hints(kind: type) -> dict[str, Any]:
    return get_type_hints(kind)


def _decode(kind: Any, raw: Any, at: str, given: dict[Any, Any]) -> Any:
    kind = given.get(kind, kind)
    if kind is Any:
        return raw
    origin, args = get_origin(kind), get_args(kind)
    if origin in (Union, types.UnionType):
        inner = [arg for arg in args if arg is not type(None)]
        return None if raw is None else _decode(inner[0], raw, at, given)
    if is_dataclass(origin or kind):
        return _instance(origin or kind, args, raw, at, given)
    if origin is dict:
        _expect(isinstance(raw, dict), at, "an object", raw)
        return {key: _decode(args[1], item, f"{at}.{key}", given) for key, item in raw.items()}
    if origin is tuple:
        return _tuple(args, raw, at, given)
    if kind is float:
        _expect(isinstance(raw, int | float) and not isinstance(raw, bool), at, "a number", raw)
        return float(raw)
    _expect(isinstance(raw, kind) and (kind is bool or not isinstance(raw, bool)), at, kind, raw)
    return raw


def _tuple(args: tuple[Any, ...], raw: Any, at: str, given: dict[Any, Any]) -> tuple[Any, ...]:
    _expect(isinstance(raw, list), at, "a list", raw)
    kinds = [args[0]] * len(raw) if args[-1] is Ellipsis else list(args)
    _expect(len(kinds) == len(raw), at, f"{len(kinds)} items", raw)
    pairs = enumerate(zip(kinds, raw, strict=True))
    return tuple(_decode(kind, item, f"{at}[{index}]", given) for index, (kind, item) in pairs)


def _instance(kind: Any, args: tuple[Any, ...], raw: Any, at: str, given: dict[Any, Any]) -> Any:
    _expect(isinstance(raw, dict), at, f"an object ({kind.__name__})", raw)
    rows = {row.name: row for row in fields(kind)}
    unknown = sorted(set(raw) - set(rows))
    _expect(not unknown, at, f"no key but those of {kind.__name__}", unknown)
    # In Reading[str] the type variable of Reading is given.
    own = {
        variable: given.get(arg, arg)
        for variable, arg in zip(getattr(kind, "__parameters__", ()), args, strict=False)
    }
    hints = _hints(kind)
    found = {}
    for name, row in rows.items():
        if name in raw:
            found[name] = _decode(hints[name], raw[name], f"{at}.{name}", own)
        else:
            _expect(_default(row) is not MISSING, at, f"a key {name}", sorted(raw))
    return kind(**found)


def _expect(holds: bool, at: str, what: object, raw: object) -> None:
    if not holds:
        name = what.__name__ if isinstance(what, type) else what
        raise WireError(f"{at.lstrip('.') or 'the whole'}: {name} was expected, not {raw!r:.60}")
