"""The pictures of docs/ as their lines of text; `make pictures` makes them from real runs."""

from __future__ import annotations

import html
import re
from collections.abc import Sequence

CELL = re.compile(r'<text class="[^"]*" x="([\d.]+)" y="([\d.]+)"[^>]*>(.*?)</text>')


def lines_of(svg: str) -> list[list[str]]:
    """The lines of a terminal's picture, each as its texts from left to right."""
    rows: dict[float, list[tuple[float, str]]] = {}
    for x, y, text in CELL.findall(svg):
        shown = html.unescape(text).replace("\xa0", " ").strip()
        rows.setdefault(float(y), []).append((float(x), shown))
    return [[text for _, text in sorted(rows[y])] for y in sorted(rows)]


def keys_of(lines: Sequence[Sequence[str]]) -> list[str]:
    """Keys of the limits that a report's table shows, in its order, each once."""
    start = next(at for at, line in enumerate(lines) if line[0].startswith("──")) + 1
    shown = [line[0] for line in lines[start:] if len(line) >= 5]
    return list(dict.fromkeys(shown))


def remedies_of(lines: Sequence[Sequence[str]]) -> list[str]:
    """What a report says to do about limits that were skipped; a note goes over several lines."""
    text = " ".join(" ".join(" ".join(line) for line in lines).split())
    notes = re.split(r"(?:^| )(?=(?:skipped|fitted): |\d+ (?:ok|fitted|skipped), )", text)
    return [note.partition(" do: ")[2] for note in notes if note.startswith("skipped: ")]
