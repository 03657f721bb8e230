"""Imports point one way, rooms stay small, and the pure core opens nothing."""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

SOURCE = Path(__file__).parents[2] / "src" / "stackctl"

ORDER = [
    *("errors", "limits", "spec", "plan", "render"),
    *("engine", "observe", "handshake", "checks", "host", "operate", "traffic", "report"),
]
"""A room may import from the rooms before it, unless RULES says less."""

APART: set[str] = {"collector", "mtproto"}
"""The collector's image gets a copy of both, and of nothing else."""

RULES: dict[str, set[str]] = {
    **{room: {*ORDER[:rank], *APART} for rank, room in enumerate(ORDER)},
    "errors": set(),
    "limits": {"errors"},
    "spec": {"errors", "limits"},
    "plan": {"errors", "limits", "spec"},
    "render": {"errors", "limits", "spec", "plan"},
    "engine": {"errors", "limits", "collector"},
    "mtproto": set(),
    "collector": {"mtproto"},
    "__main__": {"cli"},
    "cli": {*ORDER, *APART},
}
"""Room → the rooms it may import from, beside itself; nobody imports cli."""

PURE = ["errors", "limits", "plan", "render", "checks"]
"""These turn values into values: whatever they know was handed to them."""

EDGES = {
    "docker",
    "http",
    "os",
    "pathlib",
    "python_on_whales",
    "random",
    "requests",
    "secrets",
    "shutil",
    "socket",
    "subprocess",
    "tempfile",
    "testcontainers",
    "time",
    "urllib",
}
"""Modules that reach the disk, the network, another process, a clock or chance."""

HEAVY = {"docker", "python_on_whales", "testcontainers"}
"""Slow to import: only inside the function that needs them."""

MAX_LINES = 650
"""A question to ask: the longest module is the answer's types, which are one subject."""
VAGUE = {"util", "utils", "helper", "helpers", "manager", "managers", "misc", "common"}

MODULES = sorted(SOURCE.rglob("*.py"))


def room_of(path: Path) -> str:
    return path.relative_to(SOURCE).parts[0].removesuffix(".py")


def name_of(path: Path) -> str:
    return str(path.relative_to(SOURCE))


ROOMS = sorted({room_of(path) for path in MODULES} - {"__init__"})
EVERY_MODULE = pytest.mark.parametrize("path", MODULES, ids=name_of)


def _only_for_types(node: ast.AST) -> bool:
    return isinstance(node, ast.If) and "TYPE_CHECKING" in ast.dump(node.test)


def _imports(node: ast.AST) -> Iterator[ast.Import | ast.ImportFrom]:
    """Every import that can run: at the top, in functions, in branches."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.Import | ast.ImportFrom):
            yield child
        elif isinstance(child, ast.If) and _only_for_types(child):
            for branch in child.orelse:
                yield from _imports(ast.Module([branch], []))
        else:
            yield from _imports(child)


def _names(node: ast.Import | ast.ImportFrom, path: Path) -> list[str]:
    """Dotted names of what an import brings in."""
    if isinstance(node, ast.Import):
        return [alias.name for alias in node.names]
    package = ["stackctl", *path.relative_to(SOURCE).parts[:-1]]
    base = package[: len(package) - node.level + 1] if node.level else []
    start = ".".join([*base, *([node.module] if node.module else [])])
    return [f"{start}.{alias.name}" for alias in node.names]


@cache
def parsed(path: Path) -> ast.Module:
    return ast.parse(path.read_text())


@cache
def imported(path: Path) -> frozenset[str]:
    return frozenset(name for node in _imports(parsed(path)) for name in _names(node, path))


def rooms_imported(path: Path) -> set[str]:
    names = (name.split(".") for name in imported(path))
    inner = {name[1] for name in names if name[0] == "stackctl" and len(name) > 1}
    return {name for name in inner if not name.startswith("__")} - {room_of(path)}


def test_every_room_has_a_rule_and_every_rule_a_room() -> None:
    assert set(ROOMS) == set(RULES)


@EVERY_MODULE
def test_imports_point_one_way(path: Path) -> None:
    if room_of(path) == "__init__":
        assert not rooms_imported(path)
    else:
        assert rooms_imported(path) <= RULES[room_of(path)]


def test_the_rules_have_no_way_round() -> None:
    allowed = {room: set(others) for room, others in RULES.items()}
    while free := {room for room, others in allowed.items() if not others}:
        allowed = {room: others - free for room, others in allowed.items() if room not in free}
    assert not allowed


def _opens_nothing(path: Path) -> bool:
    edge = {"mtproto": "attempt.py", "observe": "look.py"}.get(room_of(path))
    return room_of(path) in PURE or (edge is not None and path.name != edge)


@pytest.mark.parametrize("path", [*filter(_opens_nothing, MODULES)], ids=name_of)
def test_the_pure_core_opens_nothing(path: Path) -> None:
    # urllib.parse only takes text apart.
    names = (name for name in imported(path) if not name.startswith("urllib.parse."))
    assert not {name.split(".")[0] for name in names} & EDGES
    calls = {
        node.func.id
        for node in ast.walk(parsed(path))
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name)
    }
    assert not calls & {"open", "print", "input", "exec", "eval", "__import__"}


def test_the_collector_and_its_client_can_be_copied_out() -> None:
    for path in MODULES:
        if room_of(path) in APART:
            others = {name.split(".")[0] for name in imported(path)} - {"stackctl"}
            allowed = {"cryptography"} if room_of(path) == "mtproto" else set()
            assert others <= {*sys.stdlib_module_names, *allowed}, name_of(path)


def test_what_is_slow_to_import_is_imported_where_it_is_used() -> None:
    for path in MODULES:
        body = parsed(path).body
        top = [node for node in body if isinstance(node, ast.Import | ast.ImportFrom)]
        names = {name.split(".")[0] for node in top for name in _names(node, path)}
        assert not names & HEAVY, name_of(path)


def test_modules_are_small_enough_to_read() -> None:
    lengths = {name_of(path): len(path.read_text().splitlines()) for path in MODULES}
    assert not {name: length for name, length in lengths.items() if length > MAX_LINES}


def test_modules_are_named_for_what_they_hold() -> None:
    names = [name_of(path).removesuffix(".py") for path in MODULES]
    assert not [name for name in names if set(name.split("/")) & VAGUE]


def test_every_module_says_what_it_is_for() -> None:
    assert not [name_of(path) for path in MODULES if not ast.get_docstring(parsed(path))]


@pytest.mark.parametrize(
    ("source", "names"),
    [
        ("import stackctl.cli", {"stackctl.cli"}),
        ("from stackctl import cli", {"stackctl.cli"}),
        ("from .model import Plan", {"stackctl.plan.model.Plan"}),
        ("from .. import cli", {"stackctl.cli"}),
        ("def f():\n    from stackctl.cli import main", {"stackctl.cli.main"}),
        ("try:\n    import docker\nexcept ImportError:\n    import os", {"docker", "os"}),
        ("if TYPE_CHECKING:\n    import docker\nelse:\n    import os", {"os"}),
        ("class A:\n    def f(self):\n        if 1:\n            import socket", {"socket"}),
    ],
)
def test_this_test_sees_every_import(source: str, names: set[str]) -> None:
    path = SOURCE / "plan" / "made_up.py"
    tree = ast.parse(source)
    assert {name for node in _imports(tree) for name in _names(node, path)} == names
