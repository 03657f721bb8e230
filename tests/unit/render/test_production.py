"""compose/production is what stack/production.yaml renders to, committed to be read and copied.

    STACKCTL_GOLDEN=write .venv/bin/pytest tests/unit/render

writes it anew. Its secrets are the operator's: the folder holds none.
"""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from stackctl.plan import make_plan
from stackctl.render import File, render
from stackctl.spec import Secrets, Stack, load
from tests.unit import golden

ROOT = Path(__file__).parents[3]
COMMITTED = ROOT / "compose" / "production"


def rendered() -> dict[str, File]:
    files = render(make_plan(load(ROOT / "stack/production.yaml")), Secrets({"nobody": "0" * 32}))
    return {path: file for path, file in files.items() if not path.startswith("secrets/")}


def test_the_committed_deployment_is_what_the_stack_file_renders_to() -> None:
    files = rendered()
    if golden.WRITING:
        shutil.rmtree(COMMITTED, ignore_errors=True)
        for path, file in files.items():
            (COMMITTED / path).parent.mkdir(parents=True, exist_ok=True)
            (COMMITTED / path).write_text(file.text)
            (COMMITTED / path).chmod(file.mode)
    kept = {
        str(path.relative_to(COMMITTED)): File(path.read_text(), path.stat().st_mode & 0o755)
        for path in COMMITTED.rglob("*")
        if path.is_file()
    }
    told = golden.differences(
        {path: file.text for path, file in files.items()},
        {path: file.text for path, file in kept.items()},
        "tests/unit/render",
    )
    if told:
        pytest.fail(f"compose/production:{told}", pytrace=False)
    modes = {path: oct(file.mode) for path, file in files.items() if kept[path].mode != file.mode}
    assert not modes, f"these have another mode: {golden.command('tests/unit/render')}"


def test_it_names_official_images_and_runs_on_the_hosts_network() -> None:
    compose = (COMMITTED / "compose.yaml").read_text()
    images = [line.split()[1] for line in compose.splitlines() if line.startswith("    image:")]
    assert {image.partition(":")[0] for image in images} == {"haproxy", "ghcr.io/telemt/telemt"}
    assert "    ports:" not in compose
    assert compose.count("network_mode: host") == len(images)


def test_a_digest_pins_the_image_and_the_tag_still_says_which() -> None:
    digest = "sha256:" + "a" * 64
    part = {"source": "official", "digest": digest}
    stack = Stack.model_validate(
        {"name": "lab", "connections": 8000, "haproxy": part, "telemt": part}
    )
    plan = make_plan(stack)
    assert plan.haproxy_image == f"haproxy:3.0@{digest}"
    assert plan.telemt_image == f"ghcr.io/telemt/telemt:3.4.25@{digest}"


def test_production_without_digests_is_warned() -> None:
    warnings = make_plan(load(ROOT / "stack/production.yaml")).warnings
    assert any("haproxy.digest and telemt.digest not set" in line for line in warnings)
