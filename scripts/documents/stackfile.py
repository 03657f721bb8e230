"""docs/stack-file.md: every key of stack.yaml, from the model's descriptions."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from scripts.documents.markdown import GENERATED, table
from stackctl.limits import TABLE, Kind, Limit
from stackctl.plan import make_plan
from stackctl.spec import Stack
from stackctl.spec.keys import LIMIT_BY_KEY, Key, keys
from stackctl.spec.limits import overridable
from stackctl.spec.schema import json_schema
from stackctl.spec.template import written

_INTRO = f"""\
{GENERATED}
# The stack file

A stack file describes one stack. `stackctl init` writes one in which every key is explained, as it
is on this page. Only `name` and `connections` have no default. Editors complete and check the keys
with the schema that the first line of the file names.

stackctl reads YAML 1.2: `yes`, `no`, `on` and `off` are text, and a number in quotes is text. An
unknown key or a wrong value is an error that names the key, the line and what to write instead.

Paths in the file are relative to the file's own folder.
"""


def stackfile_page() -> str:
    """The page."""
    parts = [_INTRO]
    parts += [_section(key) for key in keys()]
    return "\n".join(parts)


def _section(key: Key) -> str:
    if key.path[-1] == LIMIT_BY_KEY:
        return _limits(key)
    level = "#" * (len(key.path) + 1)
    lines = [f"{level} `{key.name}`", "", key.description, ""]
    if not key.part:
        lines += [_facts(key), ""]
    if len(key.path) == 1:
        lines += ["```yaml", *_example(key), "```", ""]
    return "\n".join(lines)


def _facts(key: Key) -> str:
    if key.required:
        default = "no default"
    elif key.default is None:
        default = "not set by default"
    else:
        default = f"default `{written(key.default)}`"
    words = f"{accepted(key.schema)}; {default}."
    if len(key.path) > 1:
        words += f" Example: `{key.path[-1]}: {written(key.example)}`."
    return words[0].upper() + words[1:]


def _example(key: Key) -> Iterator[str]:
    value = key.example
    if not isinstance(value, Mapping):
        yield f"{key.path[-1]}: {written(value)}"
        return
    yield f"{key.path[-1]}:"
    for name, one in value.items():
        yield f"  {name}: {written(one)}"


def accepted(schema: Mapping[str, Any]) -> str:
    """What a JSON Schema accepts, in words.

    Raises:
        ValueError: this page has no words for the schema's form.
    """
    match schema:
        case {"anyOf": [*choices]}:
            return " or ".join(accepted(choice) for choice in choices)
        case {"enum": [0, *powers]} if len(powers) > 3:
            return f"0, or a power of two from {powers[0]} to {powers[-1]}"
        case {"enum": [*words]}:
            return " or ".join(f"`{written(word)}`" for word in words if word is not None)
        case {"type": "array", "uniqueItems": True, "items": items}:
            return f"a list of {accepted(items)}"
        case {"type": "array", "items": items, "minItems": count}:
            return f"a list of {count} numbers, each {accepted(items)}"
        case {"type": "object", "properties": properties}:
            return "a mapping of " + " and ".join(f"`{name}`" for name in properties)
        case {"type": "integer", "minimum": low, "maximum": high}:
            return f"a whole number from {low} to {high}"
        case {"type": kind} if kind in _PLAIN:
            return _PLAIN[kind]
    raise ValueError(f"no words for {schema}")


_PLAIN = {"null": "nothing", "boolean": "`true` or `false`", "string": "text"}


def _limits(key: Key) -> str:
    lines = [
        "### `limits.KEY`",
        "",
        f"{key.description} [limits.md](limits.md) explains every row. Limits that follow from "
        "other keys of the file are not listed: they are set by those keys.",
        "",
        "```yaml",
        "limits:",
        *(f"  {name}: {written(example)}" for name, example in key.example.items()),
        "```",
        "",
    ]
    schemas = json_schema()["properties"]["limits"]["properties"]
    rows = [
        (f"`{name}`", accepted(schemas[name]), f"`{example_of(limit)}`")
        for name, limit in TABLE.items()
        if overridable(limit)
    ]
    return "\n".join([*lines, *table(("key", "value", "example"), rows), ""])


def example_of(limit: Limit) -> str:
    """A limit as stack.yaml spells it, with the value that the table or a small plan has."""
    value: Any = limit.wanted
    if value is None:
        plan = make_plan(Stack.model_validate({"name": "lab", "connections": 8000, "replicas": 2}))
        value = next(one.wanted for one in plan.requirements if one.limit == limit.key)
    if limit.kind is Kind.SOFT_HARD and isinstance(value, tuple):
        value = {"soft": value[0], "hard": value[1]}
    return f"{limit.key}: {written(value)}"
