"""The commands that README shows, as a reader types them, and a checkout to type them in."""

from __future__ import annotations

import re
import shutil
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]

WITH_AN_ENGINE = (
    "make up",
    "make test",
    ".venv/bin/stackctl status",
    ".venv/bin/stackctl verify",
    ".venv/bin/stackctl probe",
    ".venv/bin/stackctl links",
    "make down",
)
"""Tried by tests/integration/test_readme.py, but for `make test`: that is what runs these tests."""

_CONSOLE = re.compile(r"^```console\n(.*?)^```", re.MULTILINE | re.DOTALL)


def commands(page: str = "README.md") -> list[str]:
    """What stands behind a prompt on a page, in its order."""
    blocks = _CONSOLE.findall((ROOT / page).read_text(encoding="utf-8"))
    lines = [line for block in blocks for line in block.splitlines()]
    assert all(line.startswith("$ ") for line in lines), lines
    return [line.removeprefix("$ ") for line in lines]


def checkout(folder: Path) -> Path:
    """A copy of what git has, with this environment as its .venv."""
    for part in ("Makefile", "pyproject.toml", "requirements.lock", "scripts", "images", "stack"):
        source, target = ROOT / part, folder / part
        if source.is_dir():
            ignored = shutil.ignore_patterns("__pycache__", "secrets*.yaml", ".stackctl")
            shutil.copytree(source, target, ignore=ignored)
        else:
            shutil.copy2(source, target)
    # Not resolved: the environment's own python is a link to the system's.
    (folder / ".venv").symlink_to(Path(sys.executable).parents[1])
    return folder
