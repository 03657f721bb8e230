"""Break exactly one limit on the live stack: verify must find exactly that one, exactly there."""

from __future__ import annotations

import json
import re

import pytest

from stackctl.limits import Role
from stackctl.limits.targets import role_of
from stackctl.plan import make_plan
from stackctl.spec import load

from .conftest import MakeLab, started
from .lab import Lab
from .sabotage import SABOTAGES, Sabotage

pytestmark = pytest.mark.integration


@pytest.fixture(scope="module")
def labs(make_lab: MakeLab) -> dict[str, Lab]:
    """A running lab for each kind of link; quick health checks, for the test's own time."""
    limits = "{mode: fit, haproxy.check_inter: 1}"
    # Together they have every row there is.
    return {
        "unix": started(make_lab(link="unix", limits=limits)),
        "tcp": started(
            make_lab(link="tcp", link_ports=2, splice="auto", buffers="density", limits=limits)
        ),
    }


def named(sabotage: Sabotage) -> str:
    return f"{sabotage.limit}-{sabotage.target}"


def target_of(sabotage: Sabotage, lab: Lab) -> str:
    """The target; "other" is the replica that the published connection does not reach."""
    if not sabotage.target.endswith("/other"):
        return sabotage.target
    seen = next(
        f["evidence"] for f in lab.verify()["findings"] if f["limit"] == "haproxy.client_address"
    )
    match = re.search(r"telemt-(\d)", seen)
    assert match, f"no replica in {seen!r}"
    return f"haproxy/telemt-{3 - int(match[1])}"


@pytest.mark.parametrize("sabotage", SABOTAGES, ids=named)
def test_exactly_the_broken_limit_is_found(sabotage: Sabotage, labs: dict[str, Lab]) -> None:
    lab = labs[sabotage.link]
    target = target_of(sabotage, lab)
    with sabotage.broken(lab, target):
        found = [wrong for wrong in lab.wrong() if wrong[0] not in sabotage.by_chance]
        assert found == [(sabotage.limit, target, sabotage.verdict)]
    assert lab.wrong() == []


def test_no_requirement_is_without_its_sabotage(labs: dict[str, Lab]) -> None:
    """Host rows are left alone by a lab; each other (limit, role) has one above."""
    required = set()
    for lab in labs.values():
        plan = make_plan(load(lab.folder / "stack.yaml"))
        required |= {
            (r.limit, role_of(r.target))
            for r in plan.requirements
            if role_of(r.target) is not Role.HOST
        }
        reported = {(f["limit"], f["target"]) for f in lab.verify()["findings"]}
        assert reported == {(r.limit, r.target) for r in plan.requirements}
    broken = {(s.limit, role_of(s.target)) for s in SABOTAGES}
    assert required - broken == set()


def test_a_broken_limit_says_what_to_do(labs: dict[str, Lab]) -> None:
    lab = labs["unix"]
    sabotage = next(s for s in SABOTAGES if s.limit == "net.core.somaxconn")
    with sabotage.broken(lab, sabotage.target):
        done = lab.run("verify", "--json")
        finding = next(f for f in json.loads(done.stdout)["findings"] if f["verdict"] == "short")
    assert finding["got"] == 4096
    assert finding["wanted"] == 65535
    assert "recreate the container" in finding["remedy"]
    assert finding["evidence"]
