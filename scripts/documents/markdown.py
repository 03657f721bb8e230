"""The few forms of Markdown that the generated pages use."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

GENERATED = "<!-- `make docs` writes this page. Change the descriptions it comes from instead. -->"


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
    """A table, one line for each row."""
    return [
        f"| {' | '.join(head)} |",
        f"|{'---|' * len(head)}",
        *(f"| {' | '.join(cell(one) for one in row)} |" for row in rows),
    ]


def cell(text: str) -> str:
    """Text that is safe in a cell."""
    return text.replace("|", "\\|").replace("\n", " ") or "-"
