"""Whole deployments against committed ones, byte for byte.

A change of what is rendered shows as a diff of tests/golden/render. After reading that diff:

    STACKCTL_GOLDEN=write .venv/bin/pytest tests/unit/render

writes the expected files and compose/production anew. A dot at the head of a file's name is kept
as `dot-`, so that neither git nor an editor takes the file for its own.
"""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from stackctl.plan import make_plan
from stackctl.render import render
from stackctl.render.host import SCRIPT
from stackctl.spec import Secrets, load
from tests.unit import golden

GOLDEN = Path(__file__).parents[2] / "golden" / "render"
CASES = ["bridge-unix-2", "bridge-tcp-2", "host-unix-2"]
NOT_A_SECRET = Secrets({"example": "0" * 32})


def kept_as(path: str) -> str:
    folder, _, name = path.rpartition("/")
    return f"{folder}/{name.replace('.', 'dot-', 1)}" if name.startswith(".") else path


@pytest.mark.parametrize("case", CASES)
def test_deployment_is_the_expected_one(case: str) -> None:
    expected = GOLDEN / case / "expected"
    files = render(make_plan(load(GOLDEN / case / "stack.yaml")), NOT_A_SECRET)
    # prepare.sh is the same for every stack; compose/production holds it once.
    made = {kept_as(path): file.text for path, file in files.items() if path != SCRIPT}
    if golden.WRITING:
        shutil.rmtree(expected, ignore_errors=True)
        for path, text in made.items():
            (expected / path).parent.mkdir(parents=True, exist_ok=True)
            (expected / path).write_text(text)
    kept = {
        str(path.relative_to(expected)): path.read_text()
        for path in sorted(expected.rglob("*"))
        if path.is_file()
    }
    told = golden.differences(made, kept, "tests/unit/render")
    if told:
        pytest.fail(f"tests/golden/render/{case}/expected:{told}", pytrace=False)


def test_every_case_there_is_takes_part() -> None:
    assert sorted(CASES) == sorted(path.name for path in GOLDEN.iterdir() if path.is_dir())
