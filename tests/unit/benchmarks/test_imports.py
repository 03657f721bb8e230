"""Benchmarks import the tests' doubles and machines; only the tests here import benchmarks."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[3]
HERE = Path(__file__).parent
MAY_IMPORT = {"tests.doubles", "tests.vm"}


def imported(module: Path) -> Iterator[str]:
    """The full name of each module that a file imports."""
    for node in ast.walk(ast.parse(module.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            yield node.module


def test_no_test_imports_a_benchmark() -> None:
    tests = [module for module in ROOT.glob("tests/**/*.py") if HERE not in module.parents]
    assert len(tests) > 100
    importing = [m for m in tests if any(n.split(".")[0] == "benchmarks" for n in imported(m))]
    assert importing == []


def test_benchmarks_import_of_the_tests_what_both_share() -> None:
    found = {
        ".".join(name.split(".")[:2])
        for module in ROOT.glob("benchmarks/**/*.py")
        for name in imported(module)
        if name.split(".")[0] == "tests"
    }
    assert found == MAY_IMPORT
