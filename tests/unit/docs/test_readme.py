"""README is short, its links lead somewhere, and its commands work as a reader types them."""

from __future__ import annotations

import re
import shlex
import subprocess
from functools import cache
from pathlib import Path

import pytest
from typer.testing import CliRunner

from readme import ROOT, WITH_AN_ENGINE, checkout, commands
from stackctl.cli import main as _main  # noqa: F401  (it registers the commands)
from stackctl.cli.app import app

PAGES = ("README.md", *(f"docs/{path.name}" for path in sorted((ROOT / "docs").glob("*.md"))))
LINK = re.compile(r"\]\(([^)\s]+)\)")


@pytest.fixture(scope="module")
def copy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return checkout(tmp_path_factory.mktemp("checkout"))


def run(command: str, folder: Path) -> subprocess.CompletedProcess[str]:
    """A line in a shell, with nothing of the developer's own environment."""
    env = {"PATH": "/usr/bin:/bin", "HOME": str(folder), "LANG": "C.UTF-8"}
    # Nothing that runs on this machine may be taken for the reader's.
    env |= {"DOCKER_HOST": f"unix://{folder}/no-engine.sock"}
    return subprocess.run(
        ["sh", "-c", command], cwd=folder, env=env, capture_output=True, text=True, check=False
    )


@cache
def usage(command: str) -> str:
    """What a command's --help says; it must be a command."""
    asked = CliRunner().invoke(app, [command, "--help"])
    assert asked.exit_code == 0, f"{command}: {asked.output}"
    return asked.output


def test_it_is_read_in_a_few_minutes() -> None:
    assert len((ROOT / "README.md").read_text().splitlines()) <= 120


def test_each_command_that_needs_no_engine_works_in_the_order_of_the_page(copy: Path) -> None:
    tried = [command for command in commands() if command not in WITH_AN_ENGINE]
    assert len(tried) >= 5
    for command in tried:
        done = run(command, copy)
        assert done.returncode == 0, f"{command}\n{done.stdout}{done.stderr}"
    assert (copy / "out/host/prepare.sh").is_file()


def test_what_the_integration_tests_try_is_still_on_the_page() -> None:
    assert set(WITH_AN_ENGINE) <= set(commands())


def test_commands_inside_sentences_exist(copy: Path) -> None:
    text = (ROOT / "README.md").read_text()
    listed = run("make help", copy).stdout
    for target in set(re.findall(r"`(?:[A-Z_]+=\S+ )?make ([a-z-]+)`", text)):
        assert f"  make {target} " in listed, target
    inline = re.findall(r"`\.venv/bin/(stackctl [^`]+)`", text)
    assert inline
    for command in inline:
        assert usage(command.split()[1]), command


@pytest.mark.parametrize("page", PAGES)
def test_each_command_of_a_page_has_the_options_it_shows(page: str) -> None:
    for command in commands(page):
        if command.startswith(".venv/bin/stackctl "):
            words = shlex.split(command, comments=True)
            help_text = usage(words[1])
            for option in (word for word in words if word.startswith("-")):
                assert option in help_text, f"{command}: {option}"


@pytest.mark.parametrize("page", PAGES)
def test_links_lead_to_files_that_are_there(page: str) -> None:
    path = ROOT / page
    for link in LINK.findall(path.read_text()):
        target, _, anchor = link.partition("#")
        if target.startswith("https://"):
            continue
        found = (path.parent / target) if target else path
        assert found.exists(), f"{page}: {link}"
        if anchor:
            titles = re.findall(r"^#+ (.+)$", found.read_text(), re.MULTILINE)
            anchors = {re.sub(r"[^\w -]", "", title).lower().replace(" ", "-") for title in titles}
            assert anchor in anchors, f"{page}: {link}"


@pytest.mark.parametrize("stack", ["stack/lab.yaml", "stack/demo.yaml"])
def test_make_up_ends_with_commands_that_work_right_there(copy: Path, stack: str) -> None:
    recipe = (ROOT / "Makefile").read_text().partition("\nup:")[2].partition("\n\n")[0]
    assert recipe.splitlines()[-1].endswith("next STACK=$(STACK)")
    done = run(f"make --no-print-directory next STACK={stack}", copy)
    shown = re.findall(r"^  (\.venv/bin/stackctl .*?) +#", done.stdout, re.MULTILINE)
    assert len(shown) == 3, done
    for command in shown:
        program, name, *rest = command.split()
        assert (copy / program).is_file()
        assert "--file" in usage(name)
        assert rest == ["--file", stack]


def test_in_the_checkout_several_stack_files_are_listed_where_none_runs(copy: Path) -> None:
    done = run(".venv/bin/stackctl links", copy)
    assert done.returncode == 2
    for name in ("lab", "demo", "production"):
        assert f"--file stack/{name}.yaml   ({name})" in done.stderr
    assert "do: name one of them: --file PATH" in done.stderr
