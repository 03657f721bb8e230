"""The files that are made from the code: pages of docs/, the shipped stack files, the schema.

`make docs` writes them; a unit test renders them again and compares.
"""

from __future__ import annotations

from pathlib import Path

from scripts.documents.commands import commands_page
from scripts.documents.limits import limits_page
from scripts.documents.stackfile import stackfile_page
from scripts.documents.stacks import SHIPPED
from stackctl.spec.schema import schema_text

ROOT = Path(__file__).parents[2]


def documents() -> dict[str, str]:
    """Path in the checkout → text of every generated file."""
    return {
        "src/stackctl/schema/stack.schema.json": schema_text(),
        "docs/stack-file.md": stackfile_page(),
        "docs/limits.md": limits_page(),
        "docs/commands.md": commands_page(),
        **{f"stack/{stack.file}": stack.text() for stack in SHIPPED},
    }
