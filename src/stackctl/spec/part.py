"""What all mappings of stack.yaml have in common."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, ConfigDict


def as_written(default: object) -> Any:
    """A default as the file would spell it. It is validated like the file's own values.

    The type is Any, because it is not of the field's type yet. The JSON Schema shows it as it is.
    """
    return default


class Part(BaseModel):
    """A mapping of stack.yaml: only known keys, nothing converted, nothing changed afterwards."""

    model_config = ConfigDict(
        frozen=True,
        extra="forbid",
        strict=True,
        hide_input_in_errors=True,
        validate_default=True,
    )
