"""Keys of a file that Telemt would not know, and the name that each was probably meant to be."""

from collections.abc import Iterator
from dataclasses import dataclass

from .known_keys import KNOWN_KEYS

# A name further away than this is probably not a typing error.
_SUGGESTION_DISTANCE = 4


@dataclass(frozen=True, slots=True)
class UnknownKey:
    """A key Telemt would not know: its full path, and the nearest known name or None."""

    path: str
    suggestion: str | None

    def __str__(self) -> str:
        return f"{self.path} (did you mean `{self.suggestion}`?)" if self.suggestion else self.path


def unknown_keys(document: dict[str, object]) -> tuple[UnknownKey, ...]:
    """Return every key of a parsed telemt.toml that Telemt does not know, in file order."""
    return tuple(
        UnknownKey(f"{path}.{key}" if path else key, _nearest(key))
        for pattern, names in KNOWN_KEYS.items()
        for path, table in _tables(document, pattern)
        for key in table
        if key not in names
    )


def _tables(document: dict[str, object], pattern: str) -> Iterator[tuple[str, dict[str, object]]]:
    """Yield (path, table) for each table that the pattern matches; other values are skipped."""
    reached: list[tuple[str, object]] = [("", document)]
    for step in pattern.split(".") if pattern else ():
        reached = [found for path, value in reached for found in _enter(path, value, step)]
    for path, value in reached:
        if isinstance(value, dict):
            yield path, value


def _enter(path: str, value: object, step: str) -> Iterator[tuple[str, object]]:
    if not isinstance(value, dict):
        return
    if step == "*":
        yield from ((f"{path}.{key}", entry) for key, entry in value.items())
        return
    name = step.removesuffix("[]")
    if name not in value:
        return
    inner = f"{path}.{name}" if path else name
    if step == name:
        yield inner, value[name]
    elif isinstance(value[name], list):
        yield from ((f"{inner}[{at}]", entry) for at, entry in enumerate(value[name]))


def _nearest(key: str) -> str | None:
    known = dict.fromkeys(name for names in KNOWN_KEYS.values() for name in names)
    distance, name = min(
        ((_distance(key.lower(), name), name) for name in known), key=lambda found: found[0]
    )
    return name if distance <= _SUGGESTION_DISTANCE else None


def _distance(one: str, other: str) -> int:
    """Return the Levenshtein distance of two names."""
    row = list(range(len(other) + 1))
    for at, letter in enumerate(one, 1):
        above, row[0] = row[0], at
        for column, counterpart in enumerate(other, 1):
            above, row[column] = (
                row[column],
                min(row[column] + 1, row[column - 1] + 1, above + (letter != counterpart)),
            )
    return row[-1]
