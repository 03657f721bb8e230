"""The JSON Schema that editors read: current, complete, and of one mind with the loader."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from stackctl.limits import TABLE
from stackctl.spec import Stack
from stackctl.spec.limits import overridable
from stackctl.spec.schema import json_schema

ROOT = Path(__file__).parents[3]
# `make up` puts a secrets file beside them.
SHIPPED = [path for path in sorted((ROOT / "stack").glob("*.yaml")) if not path.match("secrets*")]


def test_every_key_is_described() -> None:
    schema = json_schema()
    assert schema["required"] == ["name", "connections"]
    for part in (schema, *schema["$defs"].values(), schema["properties"]["limits"]):
        assert part["additionalProperties"] is False
        # What `limits` holds stands in its own properties, not in those of the model.
        inner = {key: one for key, one in part["properties"].items() if "$ref" not in one}
        bare = [key for key, described in inner.items() if not described.get("description")]
        assert not bare, f"{part.get('title', 'a part')}: no description in spec/model.py: {bare}"
    limits = schema["properties"]["limits"]["properties"]
    overrides = {key for key, row in TABLE.items() if overridable(row)}
    assert set(limits) == {"mode"} | overrides, "run make docs"
    assert not any(name.startswith("_") or name == "source_dir" for name in schema["properties"])


@pytest.mark.parametrize("values", [
    {"name": "lab", "connections": 8000},
    {"name": "lab", "connections": 1, "listen": "[::1]:443", "subnet": "10.1.0.0/16"},
    {"name": "lab", "connections": 1, "limits": {"nofile": 5, "nproc": {"soft": 1, "hard": 2}}},
    {"name": "lab", "connections": 1, "limits": {"net.ipv4.tcp_rmem": [1, 2, 3]}},
    {"name": "lab", "connections": 1, "telemt": {"source": "binary", "binary": "./t"}},
    # The stack files alone: `make up` puts a secrets file beside them.
    *(yaml.safe_load(path.read_text()) for path in SHIPPED),
])  # fmt: skip
def test_what_loads_satisfies_the_schema(values: dict[str, Any]) -> None:
    jsonschema = pytest.importorskip("jsonschema")
    stack = Stack.model_validate(values)
    validator = jsonschema.Draft202012Validator(json_schema())
    validator.validate(values)
    validator.validate(stack.model_dump(mode="json"))


@pytest.mark.parametrize("values", [
    {"name": "lab"},
    {"name": "Lab", "connections": 1},
    {"name": "lab", "connections": 0},
    {"name": "lab", "connections": 1, "replicas": "2"},
    {"name": "lab", "connections": 1, "limits": {"haproxy.maxconn": 1}},
    {"name": "lab", "connections": 1, "limits": {"nofile": "soft:1048576"}},
    {"name": "lab", "connections": 1, "telemt": {"domain": "localhost"}},
    {"name": "lab", "connections": 1, "subnet": "10.0.0.0/25"},
    {"name": "lab", "connections": 1, "typo": 1},
])  # fmt: skip
def test_what_the_schema_refuses_does_not_load(values: dict[str, Any]) -> None:
    jsonschema = pytest.importorskip("jsonschema")
    assert not jsonschema.Draft202012Validator(json_schema()).is_valid(values)
    with pytest.raises(ValueError, match="validation error"):
        Stack.model_validate(values)
