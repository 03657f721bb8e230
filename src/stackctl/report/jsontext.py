"""Values and documents as JSON."""

from __future__ import annotations

import json
from typing import Any

from stackctl.limits import INFINITY, Value


def plain(value: Value) -> Any:
    """A value as JSON: lists for tuples, "infinity" for no limit."""
    if isinstance(value, tuple):
        return [plain(member) for member in value]
    return "infinity" if value == INFINITY else value


def to_json(data: Any) -> str:
    """JSON text, keys in the order given."""
    return json.dumps(data, indent=2, ensure_ascii=False)
