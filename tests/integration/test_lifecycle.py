"""A rendered folder is all that testcontainers, or anyone with compose, needs."""

from __future__ import annotations

import json

import pytest
from testcontainers.compose import DockerCompose

from .client import gets_through
from .conftest import TELEMT, MakeLab, build_images, leftovers
from .lab import Lab


@pytest.fixture
def rendered(make_lab: MakeLab, granted_nofile: int, request: pytest.FixtureRequest) -> Lab:
    """A lab rendered without asking the engine, for an engine whose ceiling the operator knows."""
    network, link = request.param
    nofile = f"{{soft: {granted_nofile}, hard: {granted_nofile}}}"
    made = make_lab(
        network=network,
        link=link,
        limits=f"{{mode: fit, nofile: {nofile}}}",
        telemt=TELEMT,
        haproxy="{source: build}",
    )
    build_images(made.folder / "stack.yaml")
    done = made.run("render", "-o", "out")
    assert done.returncode == 0, done.stderr
    return made


@pytest.mark.parametrize(
    "rendered",
    [("bridge", "unix"), ("bridge", "tcp"), ("host", "unix"), ("host", "tcp")],
    ids="-".join,
    indirect=True,
)
def test_a_rendered_stack_runs_proves_itself_carries_clients_and_goes(rendered: Lab) -> None:
    with DockerCompose(context=rendered.folder / "out", wait=True):
        done = rendered.run("verify", "--json")
        report = json.loads(done.stdout)
        wrong = [f for f in report["findings"] if f["verdict"] not in {"ok", "fitted", "skipped"}]
        assert (done.returncode, report["exit"], wrong) == (0, 0, [])
        assert {f["target"] for f in report["findings"]} == {
            "host",
            "haproxy",
            *(f"{above}telemt-{n}" for above in ("", "haproxy/") for n in (1, 2)),
        }
        for _ in range(4):
            gets_through(rendered)
    assert leftovers(rendered.name) == []
