"""docs/limits.md: the limits table, one section for each row."""

from __future__ import annotations

from collections.abc import Iterable

from scripts.documents.markdown import GENERATED, table
from stackctl.limits import TABLE, Compare, Limit, Setting
from stackctl.limits.values import compact
from stackctl.spec.limits import FOLLOWS

SECTIONS = {
    "1": "Descriptors, processes and tasks",
    "2": "The network stack",
    "3": "Connection tracking",
    "4": "HAProxy, Telemt and the links between them",
}
"""Sections of Telemt's high-load guide."""

COMPARED = {
    Compare.EQUAL: "equal",
    Compare.AT_LEAST: "at least",
    Compare.AT_MOST: "at most",
    Compare.COVERS: "the observed range covers this one",
    Compare.WITHIN: "the observed range lies within this one",
}

_INTRO = f"""\
{GENERATED}
# Limits

This page is the limits table: every limit of Telemt's high-load guide, and those that stackctl
adds. `stackctl limits KEY` prints one row, `stackctl verify` proves all of them on a running stack.

For each limit:

- **guide** is the guide's literal value; *silent* where the guide does not name it.
- **ours** is the value of a stack. Some follow from keys of the [stack file](stack-file.md).
- **compared** says when an observed value is right: equal, at least, at most, or a range.
- **set in** is every place where stackctl writes it. `{{}}` stands for the value.
- **seen by** is every way it is observed, with the depth of that evidence; see
  [how it is proven](proof.md).
- **if short** is what an operator does.
"""


def limits_page() -> str:
    """The page."""
    lines = [_INTRO]
    for section, title in SECTIONS.items():
        rows = [limit for limit in TABLE.values() if limit.section == section]
        lines += [f"## {title}", ""]
        lines += table(
            ("limit", "guide", "ours", "deepest evidence"),
            (
                (f"[`{row.key}`](#{_anchor(row.key)})", _guide(row), ours(row), row.depth.value)
                for row in rows
            ),
        )
        lines.append("")
        for row in rows:
            lines += _section(row)
    return "\n".join(lines)


def _anchor(key: str) -> str:
    return key.lower().replace(".", "")


def _guide(row: Limit) -> str:
    return row.guide or "silent"


def ours(row: Limit) -> str:
    """The value that a stack has, or the key that it follows from."""
    if row.wanted is not None:
        return compact(row.wanted)
    return f"follows from {FOLLOWS.get(row.derive, 'connections')}"


def _section(row: Limit) -> Iterable[str]:
    yield f"### `{row.key}`"
    yield ""
    yield _sentence(row.why)
    yield ""
    facts = [
        ("guide", _guide(row)),
        ("ours", f"{ours(row)} ({row.kind.value})"),
        ("compared", COMPARED[row.compare]),
        ("why it differs", row.departs),
        ("only with", _only(row)),
        ("governs", f"{row.scope.value}, declared on {', '.join(role.value for role in row.on)}"),
        ("capped by", row.ceiling and f"`{row.ceiling}`"),
        (
            "set in",
            "; ".join(map(_setting, row.settings)),
        ),
        ("seen by", "; ".join(f"{r.reader.value} `{r.arg}` ({r.depth.value})" for r in row.reads)),
        ("if short", row.remedy),
    ]
    yield from table(("", ""), ((name, text) for name, text in facts if text))
    yield ""


def _setting(setting: Setting) -> str:
    text = f"{setting.where}: {setting.text}" if setting.text else setting.where
    return f"{setting.place.value}: `{text}`"


def _only(row: Limit) -> str:
    keys = {"link": row.link, "network": row.network, "buffers": row.buffers}
    return ", ".join(f"`{key}: {value}`" for key, value in keys.items() if value)


def _sentence(words: str) -> str:
    return f"{words[0].upper()}{words[1:].rstrip('.')}."
