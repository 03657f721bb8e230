"""stack.yaml → Stack: defaults, round trips, and one error for everything that is wrong."""

from __future__ import annotations

import contextlib
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from stackctl.errors import Exit, SpecError
from stackctl.limits import TABLE, Kind, Limit
from stackctl.spec import Address, Stack, load
from stackctl.spec.limits import overridable
from stackctl.spec.load import parse
from stackctl.spec.override import bounds
from stackctl.spec.schema import json_schema
from stackctl.spec.yaml import Document
from tests.unit import golden

ROOT = Path(__file__).parents[3]
MINIMAL: dict[str, Any] = {"name": "lab", "connections": 8000}
ERRORS = sorted((ROOT / "tests/golden/errors").iterdir())


def refusal(tmp_path: Path, text: str) -> SpecError:
    file = tmp_path / "stack.yaml"
    file.write_text(text)
    with pytest.raises(SpecError) as caught:
        load(file)
    return caught.value


def stack_with(path: tuple[str, ...], value: object) -> Document:
    values: dict[str, Any] = {**MINIMAL}
    where = values
    for key in path[:-1]:
        where = where.setdefault(key, {})
    where[path[-1]] = value
    return Document(values=values)


def text_keys() -> list[tuple[str, ...]]:
    """Every key of the schema that takes text, so that a new one is tested from its first day."""
    schema = json_schema()
    found = []
    for key, described in schema["properties"].items():
        parts = schema["$defs"].get(key.capitalize(), {}).get("properties", {})
        found += [(key, below) for below, inner in parts.items() if "string" in str(inner)]
        if not parts and key != "limits" and "string" in str(described):
            found.append((key,))
    limits = schema["properties"]["limits"]["properties"].items()
    return found + [("limits", key) for key, inner in limits if inner.get("type") == "string"]


@pytest.mark.parametrize("case", ERRORS, ids=lambda case: case.name)
def test_golden_errors(case: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(case)
    with pytest.raises(SpecError) as caught:
        load(Path("stack.yaml"))
    expected = case / "expected.txt"
    if golden.WRITING:
        expected.write_text(f"{caught.value}\n")
    told = golden.differences(
        {expected.name: f"{caught.value}\n"},
        {expected.name: expected.read_text()} if expected.exists() else {},
        "tests/unit/spec/test_load.py -k golden",
    )
    if told:
        pytest.fail(f"tests/golden/errors/{case.name}:{told}", pytrace=False)
    assert caught.value.exit_code is Exit.USAGE


def test_defaults_are_filled_in(tmp_path: Path) -> None:
    (tmp_path / "stack.yaml").write_text("name: lab\nconnections: 8000\nlisten: 9443\n")
    stack = load(tmp_path / "stack.yaml")
    assert stack.listen == Address("", 9443)
    assert stack.telemt.public_port == 9443
    assert (stack.telemt.binary, stack.subnet, stack.threads) == ("", "", 0)
    assert (stack.limits.mode, dict(stack.limits.overrides)) == ("fit", {})
    assert stack.project == "stackctl-lab"
    assert stack.secrets_path == tmp_path / "secrets.yaml"


def test_a_stack_cannot_be_changed() -> None:
    stack = Stack.model_validate(MINIMAL)
    with pytest.raises(ValidationError):
        stack.name = "other"
    with pytest.raises(TypeError):
        stack.limits.overrides["nofile"] = (1, 1)  # type: ignore[index]


@pytest.mark.parametrize("name", ["lab", "production"])
def test_shipped_files_load(name: str) -> None:
    stack = load(ROOT / f"stack/{name}.yaml")
    assert stack.name == name
    first = (ROOT / f"stack/{name}.yaml").read_text().splitlines()[0]
    schema = first.removeprefix("# yaml-language-server: $schema=")
    assert (ROOT / "stack" / schema).resolve() == ROOT / "src/stackctl/schema/stack.schema.json"


def test_shipped_production_is_strict() -> None:
    stack = load(ROOT / "stack/production.yaml")
    assert (stack.connections, stack.replicas, stack.network, stack.link) == (
        250000,
        8,
        "host",
        "unix",
    )
    assert (stack.limits.mode, stack.listen.port) == ("strict", 443)
    assert (stack.telemt.source, stack.haproxy.source) == ("official", "official")


@pytest.mark.parametrize("key", text_keys(), ids=".".join)
@pytest.mark.parametrize(
    "payload",
    [
        "x\ny", "x\r", "x\n", "a'b", 'a"b', "a;b", "$(id)", "${HOME}", "`id`", "a b", " a", "a|b",
        "a&b", "a#b", "a\\b", "a\0b", "a\tb", "a{b}", "a<b", "a*b", "a\u2028b", "a\u00e9", "-rf",
    ],
)  # fmt: skip
def test_nothing_is_injected(key: tuple[str, ...], payload: str) -> None:
    with pytest.raises(SpecError, match=r"\.".join(key)) as caught:
        parse(stack_with(key, payload))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("listen", "wanted"),
    [
        (1, Address("", 1)),
        ("0.0.0.0:443", Address("0.0.0.0", 443)),
        ("[::]:443", Address("::", 443)),
        ("[2001:DB8:0::1]:65535", Address("2001:db8::1", 65535)),
    ],
)
def test_listen(listen: object, wanted: Address) -> None:
    stack = parse(stack_with(("listen",), listen))
    assert stack.listen == wanted
    assert Stack.model_validate(stack.model_dump(mode="json")).listen == wanted


@pytest.mark.parametrize(
    "listen",
    [0, -1, 65536, True, None, 1.5, [], {}, "8443", ":8443", "*:8443", "localhost:8443", "::1:80",
     "[fe80::1%eth0]:80", "[fe80::1%$(id)]:80", "256.1.1.1:80", "1.2.3.4:0", "1.2.3.4:080",
     "1.2.3.4:65536", "[1.2.3.4]:80x", "224.0.0.1:80", "010.0.0.1:80", "1.2.3.4:80\n"],
)  # fmt: skip
def test_listen_refuses(listen: object) -> None:
    with pytest.raises(SpecError, match=r"^listen: "):
        parse(stack_with(("listen",), listen))


@pytest.mark.parametrize(
    "domain",
    ["localhost", "1.2.3.4", "::1", "example.com.", ".example.com", "a..b", "-a.com", "a-.com",
     "a_b.com", "http://a.com", "a.com/", "a.com:443", "*.a.com", "a.123", "bücher.example",
     "a" * 64 + ".com", ".".join(["a" * 60] * 4), 5, None, [], "a.com\n"],
)  # fmt: skip
def test_domain_refuses(domain: object) -> None:
    with pytest.raises(SpecError, match=r"^telemt\.domain: "):
        parse(stack_with(("telemt", "domain"), domain))


@pytest.mark.parametrize(
    "host", ["127.0.0.1", "2001:db8::1", "proxy", "proxy.example.com", "xn--bcher-kva.example"]
)
def test_public_host(host: str) -> None:
    assert parse(stack_with(("telemt", "public_host"), host)).telemt.public_host == host


@pytest.mark.parametrize(
    "host", ["0.0.0.0", "::", "[::1]", "1.2.3", "1.2.3.999", "::1%eth0", ":", "a:443", "224.0.0.1"]
)
def test_public_host_refuses(host: str) -> None:
    with pytest.raises(SpecError, match=r"^telemt\.public_host: "):
        parse(stack_with(("telemt", "public_host"), host))


@pytest.mark.parametrize(
    "subnet",
    ["10.0.0.0/8", "10.0.0.0/25", "10.0.0.1/24", "8.8.8.0/24", "127.0.0.0/24", "fd00::/64",
     "10.0.0.0/24/24", "10.0.0.0", "10.89.0.0/024", 10, None],
)  # fmt: skip
def test_subnet_refuses(subnet: object) -> None:
    with pytest.raises(SpecError, match=r"^subnet: "):
        parse(stack_with(("subnet",), subnet))


def test_subnet_needs_a_bridge() -> None:
    document = stack_with(("subnet",), "10.89.0.0/24")
    assert parse(document).subnet == "10.89.0.0/24"
    document.values["network"] = "host"
    with pytest.raises(SpecError, match=r"^subnet: .*network: bridge"):
        parse(document)


def test_the_binary_is_checked_only_for_use(tmp_path: Path) -> None:
    file, binary = tmp_path / "stack.yaml", tmp_path / "telemt"
    lines = "name: lab\nconnections: 1\ntelemt: {source: binary, binary: ./telemt}\n"
    file.write_text(lines)
    assert load(file).binary_path == binary

    def problem() -> str:
        with pytest.raises(SpecError) as caught:
            load(file, for_use=True)
        assert caught.value.key == "telemt.binary"
        return str(caught.value)

    assert "does not exist" in problem()
    binary.mkdir()
    assert "is a directory" in problem()
    binary.rmdir()
    binary.write_bytes(b"#!/bin/sh\n")
    assert "chmod +x" in problem()
    binary.chmod(0o755)
    assert "no ELF header" in problem()
    binary.write_bytes(b"\x7fELF and so on")
    assert load(file, for_use=True).telemt.source == "binary"


def test_many_problems_are_listed_in_the_order_of_the_file_and_cut(tmp_path: Path) -> None:
    unknown = "".join(f"key{number}: 1\n" for number in range(200))
    error = refusal(tmp_path, f"replicas: 0\n{unknown}name: lab\nconnections: 5\n")
    lines = str(error).splitlines()
    assert error.key == "replicas"
    assert lines[0].startswith("replicas: 0 is out of range (line 1)")
    assert len(lines) == 21
    assert lines[-1] == "... and 181 more"


def test_huge_values_are_not_echoed(tmp_path: Path) -> None:
    error = refusal(tmp_path, f"name: {'x' * 100_000}\n{'y' * 100_000}: 1\nconnections: 5\n")
    assert len(str(error)) < 1000


def row_values(row: Limit) -> st.SearchStrategy[object]:
    number = st.integers(*bounds(row))
    match row.kind:
        case Kind.FLAG:
            return st.sampled_from([0, 1, True, False])
        case Kind.WORD:
            return st.from_regex(r"[a-z0-9_]{1,32}", fullmatch=True)
        case Kind.PORT_RANGE:
            port = st.integers(1024, 65535)
            return st.lists(port, min_size=2, max_size=2, unique=True).map(sorted)
        case Kind.TRIPLE:
            return st.lists(number, min_size=3, max_size=3).map(sorted)
        case Kind.SOFT_HARD:
            pair = st.lists(number, min_size=2, max_size=2).map(sorted)
            return number | pair.map(lambda both: {"soft": both[0], "hard": both[1]})
        case _:
            return number


LIMITS = st.fixed_dictionaries(
    {},
    optional={
        "mode": st.sampled_from(["fit", "strict"]),
        **{key: row_values(row) for key, row in TABLE.items() if overridable(row)},
    },
)
STACKS = st.fixed_dictionaries(
    {
        "name": st.from_regex(r"[a-z][a-z0-9-]{0,30}", fullmatch=True),
        "connections": st.integers(1, 10_000_000),
    },
    optional={
        "replicas": st.integers(1, 200),
        "link": st.sampled_from(["unix", "tcp"]),
        "listen": st.integers(1, 65535)
        | st.ip_addresses(v=4).filter(lambda ip: not ip.is_multicast).map(lambda ip: f"{ip}:443")
        | st.ip_addresses(v=6).filter(lambda ip: not ip.is_multicast).map(lambda ip: f"[{ip}]:1"),
        "subnet": st.sampled_from(["auto", "10.89.0.0/24", "192.168.0.0/16"]),
        "threads": st.integers(0, 64),
        "limits": LIMITS,
        "haproxy": st.fixed_dictionaries({}, optional={"version": st.sampled_from(["3.0", "3"])}),
        "telemt": st.fixed_dictionaries(
            {},
            optional={
                "version": st.from_regex(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,20}", fullmatch=True),
                "public_port": st.none() | st.integers(1, 65535),
                "middle_proxy": st.booleans(),
            },
        ),
    },
)


@given(STACKS)
@settings(max_examples=60)
def test_a_stack_written_as_yaml_loads_as_the_same_stack(
    tmp_path_factory: pytest.TempPathFactory, values: dict[str, Any]
) -> None:
    file = tmp_path_factory.getbasetemp() / "round.yaml"
    # JSON: every text in quotes. PyYAML's dump leaves 0E0 bare, a fraction to other readers.
    file.write_text(json.dumps(values))
    stack = load(file)
    file.write_text(json.dumps(stack.model_dump(mode="json")))
    assert load(file) == stack


JUNK = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["soft", "hard", "mode", "nofile", "x"]), inner)
    ),
    max_leaves=6,
)


@given(st.dictionaries(st.sampled_from([*Stack.model_fields, "x", ""]), JUNK))
@settings(max_examples=150)
def test_any_value_is_a_stack_or_a_spec_error(values: dict[str, object]) -> None:
    with contextlib.suppress(SpecError):
        parse(Document(values=values))


def test_what_production_yaml_shows_of_the_host_can_be_uncommented(tmp_path: Path) -> None:
    lines = (ROOT / "stack/production.yaml").read_text().splitlines()
    start = lines.index("#host:")
    block = lines[start : lines.index("", start)]
    keys = [line.replace("#", "", 1) for line in block if not line.lstrip().startswith("# ")]
    file = tmp_path / "stack.yaml"
    file.write_text("\n".join(["name: lab", "connections: 8000", *keys]) + "\n")
    asked = load(file).host.model_dump()
    assert asked.keys() == Stack.model_validate(MINIMAL).host.model_dump().keys()
    assert not [key for key, value in asked.items() if value in ("keep", 0)]
