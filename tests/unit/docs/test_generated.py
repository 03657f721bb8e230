"""The pages, stack files and schema that are written from the code are current and complete."""

from __future__ import annotations

import json

import pytest

from scripts.documents import ROOT, documents
from scripts.documents.commands import commands_page
from scripts.documents.stackfile import accepted
from stackctl.limits import TABLE
from stackctl.report.jsontext import plain


@pytest.fixture(scope="module")
def made() -> dict[str, str]:
    return documents()


def test_the_committed_files_are_what_make_docs_writes(made: dict[str, str]) -> None:
    for name, text in made.items():
        path = ROOT / name
        assert path.exists(), f"{name} is missing: make docs"
        assert path.read_text(encoding="utf-8") == text, f"{name} is out of date: make docs"


def test_the_page_of_limits_says_all_of_each_row(made: dict[str, str]) -> None:
    page = made["docs/limits.md"]
    for key, row in TABLE.items():
        section = page.partition(f"### `{key}`\n")[2].partition("\n###")[0].partition("\n## ")[0]
        assert section, f"{key} has no section"
        for part in (row.why[1:], row.guide or "silent", row.departs, row.remedy):
            assert part.rstrip(".").replace("|", "\\|") in section, (key, part)
        if row.wanted is not None and not isinstance(row.wanted, tuple):
            assert str(plain(row.wanted)) in section
        for setting in row.settings:
            assert setting.place.value in section
            assert setting.where in section
        for read in row.reads:
            assert f"{read.reader.value} `{read.arg}` ({read.depth.value})" in section


def test_links_inside_the_page_of_limits_lead_somewhere(made: dict[str, str]) -> None:
    page = made["docs/limits.md"]
    for key in TABLE:
        anchor = "".join(c for c in key.lower() if c.isalnum() or c in "-_")
        assert f"](#{anchor})" in page


def test_the_page_of_commands_has_every_command_and_option() -> None:
    page = commands_page()
    for command in ("init", "plan", "up", "verify", "host apply", "probe", "load", "down"):
        assert f"\n## `stackctl {command}`\n" in page
    for option in ("--secrets-only", "--dry-run", "--junit", "--handshake", "--volumes"):
        assert f"`{option}" in page


def test_an_unknown_form_of_value_is_not_passed_over() -> None:
    with pytest.raises(ValueError, match="no words"):
        accepted({"type": "number"})


def test_the_schema_is_json(made: dict[str, str]) -> None:
    schema = json.loads(made["src/stackctl/schema/stack.schema.json"])
    assert schema["required"] == ["name", "connections"]
