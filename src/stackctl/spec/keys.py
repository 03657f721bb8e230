"""Every key of stack.yaml as the model describes it. Template, docs and schema come from this."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

from stackctl.spec.limits import Limits
from stackctl.spec.model import Stack
from stackctl.spec.part import Part
from stackctl.spec.rule import Rule

LIMIT_BY_KEY = "overrides"
"""Field of `limits` that stands for every key of the limits table."""


@dataclass(frozen=True, slots=True)
class Key:
    """One key of a stack file.

    Attributes:
        path: names from the top of the file, such as ("telemt", "domain"). Limits that are
            overridden have ("limits", "overrides"): each of its examples is a key of its own.
        description: what the key is for, in plain sentences.
        examples: values as a file has them.
        required: whether it has no default.
        default: the default as a file has it; None for no value.
        part: whether it is a mapping; its keys follow it.
        schema: the JSON Schema of its value; empty for a mapping.
    """

    path: tuple[str, ...]
    description: str
    examples: tuple[Any, ...]
    required: bool
    default: Any
    part: bool
    schema: Mapping[str, Any]

    @property
    def name(self) -> str:
        """`telemt.domain`."""
        return ".".join(self.path)

    @property
    def example(self) -> Any:
        """The first example.

        Raises:
            ValueError: the model gives none.
        """
        if not self.examples:
            raise ValueError(f"{self.name} has no example: give one in spec/model.py")
        return self.examples[0]


def keys() -> tuple[Key, ...]:
    """All keys of stack.yaml, in the order of the file; a mapping comes before its keys."""
    return tuple(_below(Stack, ()))


def _below(part: type[Part], above: tuple[str, ...]) -> Iterator[Key]:
    for name, field in part.model_fields.items():
        inner = _part(field)
        yield Key(
            path=(*above, name),
            description=field.description or "",
            examples=tuple(field.examples or ()),
            required=field.is_required(),
            default=None if field.default is PydanticUndefined else field.default,
            part=inner is not None,
            schema={} if inner else _schema(field),
        )
        if inner:
            yield from _below(inner, (*above, name))


def _part(field: FieldInfo) -> type[Part] | None:
    kind = field.annotation
    return kind if isinstance(kind, type) and issubclass(kind, Part) else None


def _schema(field: FieldInfo) -> Mapping[str, Any]:
    rules = [one for one in field.metadata if isinstance(one, Rule)]
    return rules[0].schema if rules else {}


assert LIMIT_BY_KEY in Limits.model_fields
