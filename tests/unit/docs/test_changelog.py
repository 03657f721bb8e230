"""The changelog has the headings of Keep a Changelog; the version stands in one place."""

from __future__ import annotations

import re
import tomllib
from importlib.metadata import version

from readme import ROOT
from stackctl import __version__

HEADINGS = ("Added", "Changed", "Deprecated", "Removed", "Fixed", "Security")
TEXT = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")


def test_releases_and_headings_are_those_of_keep_a_changelog() -> None:
    releases = re.findall(r"^## (.+)$", TEXT, re.MULTILINE)
    assert releases[0] == "Unreleased"
    for release in releases[1:]:
        assert re.fullmatch(r"\[?\d+\.\d+\.\d+\]? - \d{4}-\d{2}-\d{2}", release), release
    for part in TEXT.split("\n## ")[1:]:
        found = re.findall(r"^### (.+)$", part, re.MULTILINE)
        assert found
        assert found == [one for one in HEADINGS if one in found], "in this order, each once"


def test_an_entry_is_one_line_that_explains_itself() -> None:
    entries = TEXT.partition("\n## ")[2]
    for line in entries.splitlines()[1:]:
        if line and not line.startswith(("#", "[")):
            assert re.fullmatch(r"- \S.{20,130}\.", line), line


def test_the_version_stands_in_the_package_alone() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    assert "version" not in project["project"]
    assert project["project"]["dynamic"] == ["version"]
    assert project["tool"]["hatch"]["version"]["path"] == "src/stackctl/__init__.py"
    assert version("stackctl") == __version__
    source = (ROOT / "src/stackctl/__init__.py").read_text()
    assert source.count(__version__) == 1
