"""Stack files in folders, recognized by the two keys that every one of them has."""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

from stackctl.errors import SpecError
from stackctl.spec.file import read_text

MOST_FILES = 500
"""YAML files that are looked into; a folder with more is not a place for stack files."""

_NAME = re.compile(r"""^name:[ \t]+["']?([a-z][a-z0-9-]*)["']?[ \t]*(?:#.*)?$""", re.MULTILINE)
_CONNECTIONS = re.compile(r"^connections:[ \t]", re.MULTILINE)


def stack_files(folder: Path, below: bool = True) -> dict[Path, str]:
    """The stack files in a folder and, if `below`, in its subfolders: path → name.

    A file with a wrong value counts, too: loading it says what is wrong.
    """
    found = {}
    for path in islice(_yaml(folder, below), MOST_FILES):
        if name := _name(path):
            found[path] = name
    return found


def _yaml(folder: Path, below: bool) -> Iterator[Path]:
    try:
        entries = sorted(folder.iterdir())
    except OSError:
        return
    for entry in entries:
        if entry.suffix in {".yaml", ".yml"} and entry.is_file():
            yield entry
    for entry in entries if below else ():
        if not entry.name.startswith(".") and entry.is_dir():
            yield from _yaml(entry, False)


def _name(path: Path) -> str:
    try:
        text = read_text(path, "stack file")
    except SpecError:
        return ""
    name = _NAME.search(text)
    return name[1] if name and _CONNECTIONS.search(text) else ""
