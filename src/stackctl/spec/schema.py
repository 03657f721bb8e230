"""The JSON Schema of stack.yaml, for editors; made from the model and the limits table.

`make docs` writes it to src/stackctl/schema/stack.schema.json.
"""

from __future__ import annotations

import json
from typing import Any

from stackctl.limits import TABLE, Kind, Limit
from stackctl.spec.limits import MODE, Limits, overridable
from stackctl.spec.model import Stack
from stackctl.spec.override import FIRST_PORT, bounds


def json_schema() -> dict[str, Any]:
    """The schema of stack.yaml as written in a file (draft 2020-12)."""
    schema = Stack.model_json_schema()
    limits, mode = schema["properties"]["limits"], Limits.model_fields["mode"]
    limits |= {
        "type": "object",
        "additionalProperties": False,
        "properties": {
            "mode": {
                **MODE.schema,
                "default": mode.default,
                "description": mode.description,
                "examples": mode.examples,
            },
            **{key: _row(row) for key, row in TABLE.items() if overridable(row)},
        },
    }
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        **schema,
        "title": "stackctl stack file",
        "description": "HAProxy in front of Telemt replicas, sized for a number of connections.",
    }


def schema_text() -> str:
    """The schema as its file holds it."""
    return json.dumps(json_schema(), indent=2, ensure_ascii=False) + "\n"


def _row(row: Limit) -> dict[str, Any]:
    described: dict[str, Any] = {"description": f"{row.why[0].upper()}{row.why[1:]}."}
    if row.kind in (Kind.BYTES, Kind.SECONDS, Kind.MILLISECONDS):
        described["description"] += f" In {row.kind}."
    if isinstance(row.wanted, tuple) and row.kind is Kind.SOFT_HARD:
        described["default"] = {"soft": row.wanted[0], "hard": row.wanted[1]}
    elif row.wanted is not None:
        described["default"] = list(row.wanted) if isinstance(row.wanted, tuple) else row.wanted
    return described | _type(row)


def _type(row: Limit) -> dict[str, Any]:
    low, high = bounds(row)
    number = {"type": "integer", "minimum": low, "maximum": high}
    match row.kind:
        case Kind.FLAG:
            return {"enum": [0, 1, True, False]}
        case Kind.WORD:
            return {"type": "string", "pattern": "^[a-z0-9_]{1,32}$"}
        case Kind.PORT_RANGE:
            port = {"type": "integer", "minimum": FIRST_PORT, "maximum": 65535}
            return {"type": "array", "items": port, "minItems": 2, "maxItems": 2}
        case Kind.TRIPLE:
            return {"type": "array", "items": number, "minItems": 3, "maxItems": 3}
        case Kind.SOFT_HARD:
            pair = {
                "type": "object",
                "properties": {"soft": number, "hard": number},
                "required": ["soft", "hard"],
                "additionalProperties": False,
            }
            return {"anyOf": [number, pair]}
        case Kind.COUNT | Kind.BYTES | Kind.SECONDS | Kind.MILLISECONDS:
            return number
