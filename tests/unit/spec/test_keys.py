"""Every key of the model is described, exemplified, and present in template, schema and page."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml

from stackctl.plan import make_plan
from stackctl.render import File, render
from stackctl.spec import Secrets, Stack, load
from stackctl.spec.keys import LIMIT_BY_KEY, Key, keys
from stackctl.spec.schema import json_schema
from stackctl.spec.template import STARTER, stack_text, starter, written

ROOT = Path(__file__).parents[3]
SHIPPED = ("lab.yaml", "demo.yaml", "production.yaml")
MINIMAL: dict[str, Any] = {"name": "lab", "connections": 8000}
GOES_WITH: dict[str, dict[str, Any]] = {"telemt.binary": {"telemt.source": "binary"}}
"""Keys that are refused alone."""

EVERY_KEY = pytest.mark.parametrize("key", keys(), ids=lambda key: key.name)


def nested(values: dict[str, Any]) -> dict[str, Any]:
    """{"telemt.domain": x} → {"telemt": {"domain": x}}."""
    whole: dict[str, Any] = {}
    for name, value in values.items():
        *above, last = name.split(".")
        place = whole
        for part in above:
            place = place.setdefault(part, {})
        place[last] = value
    return whole


@EVERY_KEY
def test_a_key_is_described_in_sentences(key: Key) -> None:
    assert re.fullmatch(r"[A-Za-z].{10,}\.", key.description), (
        f"{key.name}: its description in spec/model.py is missing, or no whole sentence"
    )


@EVERY_KEY
def test_a_key_has_an_example_that_loads(key: Key) -> None:
    assert key.example is not None
    for example in key.examples:
        if key.path[-1] == LIMIT_BY_KEY:
            values: dict[str, Any] = {"limits": example}
        else:
            values = nested({key.name: example, **GOES_WITH.get(key.name, {})})
        Stack.model_validate({**MINIMAL, **values})
        assert yaml.safe_load(written(example)) == example, "a file would say something else"


@EVERY_KEY
def test_an_example_shows_more_than_the_default(key: Key) -> None:
    if key.name not in {"haproxy.version", "telemt.version", "telemt.domain", "secrets"}:
        assert key.default not in key.examples


@EVERY_KEY
@pytest.mark.parametrize("file", ["what init writes", *SHIPPED])
def test_a_stack_file_has_the_key_with_its_description(key: Key, file: str) -> None:
    path = ROOT / "stack" / file
    text = path.read_text() if file in SHIPPED else stack_text(starter("lab", 8000, 2), "s.json")
    lines = [line.strip() for line in text.splitlines()]
    words = " ".join(line.removeprefix("# ") for line in lines if line.startswith("# "))
    where = f"{key.name} is not in {file}: make docs"
    assert " ".join(key.description.split()) in words, where
    names = key.example if key.path[-1] == LIMIT_BY_KEY else [key.path[-1]]
    for name in names:
        assert any(re.match(rf"#?{re.escape(name)}:( |$)", line) for line in lines), where


@EVERY_KEY
def test_the_schema_and_the_page_have_the_key(key: Key) -> None:
    page = (ROOT / "docs/stack-file.md").read_text()
    if key.path[-1] == LIMIT_BY_KEY:
        return
    heading = f"# `{key.name}`\n\n{key.description}\n"
    assert heading in page, f"{key.name} is not in docs/stack-file.md as it is now: make docs"
    schema: dict[str, Any] = json_schema()
    described = schema
    for name in key.path:
        described = described["properties"][name]
        # What a key has in common with the mapping it names stands with the mapping alone.
        definition = schema["$defs"].get(described.get("$ref", "").rpartition("/")[2], {})
        described = {**definition, **described}
    assert described["description"] == key.description, f"{key.name} in the schema"
    assert described["examples"] == list(key.examples), f"{key.name} in the schema"


def test_a_key_without_an_example_is_named() -> None:
    key = replace(keys()[0], examples=())
    with pytest.raises(ValueError, match=r"^name has no example: .*spec/model\.py"):
        _ = key.example


OTHER: dict[str, Any] = {
    "name": "edge",
    "connections": 9000,
    "haproxy.source": "build",
    "telemt.source": "double",
    "haproxy.version": "3.1",
    "telemt.version": "3.4.24",
    "telemt.domain": "site.example.com",
}
"""Values for keys whose example changes nothing here: it is the default, or MINIMAL's."""

ELSEWHERE = {
    "telemt.binary": "engine/images makes an image of it",
    "secrets": "the users are read from it, and rendered",
}
"""Keys that count without a rendered file of their own."""

BESIDE: tuple[dict[str, Any], ...] = (
    {},
    {"link": "tcp", "connections": 100000},
    {"network": "host"},
)
"""Stacks in one of which a key must make a difference."""


def outcome(values: dict[str, Any]) -> dict[str, File]:
    """The files that follow from a stack file."""
    stack = Stack.model_validate(nested({**MINIMAL, "replicas": 3, **values}))
    return render(make_plan(stack), Secrets({"user": "0" * 32}))


@EVERY_KEY
def test_a_key_changes_what_is_rendered(key: Key) -> None:
    """A key that nothing takes into the plan, or from the plan into a file, does nothing."""
    if key.part or key.path[-1] == LIMIT_BY_KEY or key.name in ELSEWHERE:
        return
    differs = False
    for beside in BESIDE:
        given = {**beside, **GOES_WITH.get(key.name, {})}
        value = OTHER.get(key.name, key.example)
        if given.get(key.name) != value:
            differs = differs or outcome({**given, key.name: value}) != outcome(given)
    assert differs, f"{key.name} changes no file: take it into the plan, and render it"


def test_every_example_of_a_new_stack_file_can_be_uncommented(tmp_path: Path) -> None:
    """All at once, but for the two that go with other values."""
    text = stack_text(starter("lab", 8000, 2), "s.json")
    apart = r"(?m)^( *)#(?!binary:)(?=[a-z_.0-9]+:)"
    text = re.sub(apart, r"\1", text).replace("source: auto", "source: official")
    file = tmp_path / "stack.yaml"
    file.write_text(text)
    stack = load(file)
    assert (stack.link_ports, stack.per_user.addresses, stack.host.irq) == (4, 20, "spread")
    assert stack.limits.overrides["net.ipv4.ip_local_port_range"] == (10000, 65535)
    assert str(stack.metrics) == "127.0.0.1:9102"


def test_a_new_stack_file_sets_what_it_says_it_sets(tmp_path: Path) -> None:
    file = tmp_path / "stack.yaml"
    file.write_text(stack_text(starter("mine", 300, 3), "s.json"))
    asked = {"name": "mine", "connections": 300, "replicas": 3}
    assert load(file).model_dump() == Stack.model_validate(asked).model_dump()
    assert set(STARTER) <= {key.name for key in keys()}


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("3.0", '"3.0"'),
        ("3.4.25", "3.4.25"),
        ("10.89.0.0/24", '"10.89.0.0/24"'),
        (True, "true"),
        ([1, 2], "[1, 2]"),
        ({"soft": 1}, "{soft: 1}"),
        ("a, b", '"a, b"'),
    ],
)
def test_values_are_spelled_so_that_every_reader_reads_them_alike(value: Any, text: str) -> None:
    assert written(value) == text
    assert yaml.safe_load(text) == value
