"""Made files against committed ones: which differ, how, and the command that writes them.

With STACKCTL_GOLDEN=write a test writes its files first; git then shows what changed.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from difflib import unified_diff

WRITING = os.environ.get("STACKCTL_GOLDEN") == "write"

SHOWN_FILES = 4
SHOWN_LINES = 12


def command(tests: str) -> str:
    """What writes the files of these tests, as a developer types it."""
    return f"STACKCTL_GOLDEN=write .venv/bin/pytest {tests}"


def differences(made: Mapping[str, str], kept: Mapping[str, str], tests: str) -> str:
    """What differs, in a few lines; empty where nothing does.

    A compose file holds digests of the other files, so it comes last: it seldom is the cause.

    Args:
        made: path → text of what the code makes.
        kept: path → text of what is committed.
        tests: the tests that write these files.
    """
    paths = sorted({*made, *kept}, key=lambda path: (path.endswith("compose.yaml"), path))
    unlike = [path for path in paths if made.get(path) != kept.get(path)]
    if not unlike:
        return ""
    told = [_difference(path, made.get(path), kept.get(path)) for path in unlike[:SHOWN_FILES]]
    if more := unlike[SHOWN_FILES:]:
        told.append(f"and {len(more)} more: {', '.join(more[:8])}{' ...' * (len(more) > 8)}")
    told.append(f"do: {command(tests)}, then read git diff")
    return "\n".join(("", *told))


def _difference(path: str, made: str | None, kept: str | None) -> str:
    if kept is None:
        return f"{path} is made, and not committed"
    if made is None:
        return f"{path} is committed, and no longer made"
    lines = unified_diff(kept.splitlines(), made.splitlines(), "committed", "made", "", "", 0, "")
    changes = [line for line in lines if not line.startswith(("---", "+++", "@@"))]
    shown = changes[:SHOWN_LINES]
    if len(changes) > SHOWN_LINES:
        shown.append(f"... {len(changes) - SHOWN_LINES} more lines")
    return "\n".join((f"{path} differs (- committed, + made):", *(f"  {line}" for line in shown)))
