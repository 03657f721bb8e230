"""Break limits on the live stack: verify must find exactly those, each exactly where it is."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import replace
from functools import cache
from itertools import permutations

import pytest

from stackctl.limits import Role
from stackctl.limits.targets import role_of
from stackctl.plan import make_plan
from stackctl.spec import load

from .conftest import MakeLab, started
from .lab import WRONG, Lab
from .sabotage import SABOTAGES, Sabotage, in_rounds, rounds

pytestmark = pytest.mark.integration

Wrong = tuple[str, str, str]
Round = tuple[tuple[Sabotage, ...], dict[Wrong, str]]

LINKS = ("unix", "tcp")
ALONE = [s for s in SABOTAGES if s.alone]
TOGETHER = {link: [s for s in SABOTAGES if s.link == link and not s.alone] for link in LINKS}


@pytest.fixture(scope="module")
def lab_of(make_shared: MakeLab) -> Callable[[str], Lab]:
    """A running lab for each kind of link; quick health checks, for the test's own time."""
    # Together they have every row.
    keys: dict[str, dict[str, object]] = {
        "unix": {},
        "tcp": {"link_ports": 2, "splice": "auto", "buffers": "density"},
    }
    limits = "{mode: fit, haproxy.check_inter: 1}"
    return cache(lambda link: started(make_shared(link=link, limits=limits, **keys[link])))


@pytest.fixture(scope="module")
def seen(lab_of: Callable[[str], Lab]) -> Callable[[str], list[Round]]:
    """For each kind of link, what was broken in each round and what verify called wrong."""

    def run(link: str) -> list[Round]:
        lab = lab_of(link)
        found = [(broken, lab.why_wrong()) for broken in in_rounds(lab, TOGETHER[link])]
        assert lab.wrong() == [], "all is mended"
        return found

    return cache(run)


def named(sabotage: Sabotage) -> str:
    return f"{sabotage.limit}-{sabotage.target}"


@pytest.mark.parametrize("link", LINKS)
def test_each_limit_is_broken_in_rounds_of_its_own(link: str) -> None:
    """Otherwise a finding of one sabotage might be taken for another's."""
    broken = rounds(TOGETHER[link])
    numbers = [{n for n, now in enumerate(broken) if s in now} for s in TOGETHER[link]]
    assert all(numbers)
    assert not any(one <= other for one, other in permutations(numbers, 2))


def finding(sabotage: Sabotage) -> Wrong:
    return (sabotage.limit, sabotage.target, sabotage.verdict)


@pytest.mark.parametrize("sabotage", [s for link in LINKS for s in TOGETHER[link]], ids=named)
def test_a_broken_limit_is_found_when_it_is_broken_and_not_else(
    sabotage: Sabotage, seen: Callable[[str], list[Round]]
) -> None:
    rounds_seen = seen(sabotage.link)
    broken = [sabotage in broken for broken, _ in rounds_seen]
    assert any(broken)
    assert [finding(sabotage) in wrong for _, wrong in rounds_seen] == broken


@pytest.mark.parametrize("link", LINKS)
def test_nothing_else_is_found(link: str, seen: Callable[[str], list[Round]]) -> None:
    for broken, wrong in seen(link):
        expected = set(map(finding, broken))
        assert {one: why for one, why in wrong.items() if one not in expected} == {}


def on_target(sabotage: Sabotage, lab: Lab) -> Sabotage:
    """With its target; "other" is the replica that the published connection does not reach."""
    if not sabotage.target.endswith("/other"):
        return sabotage
    seen = next(
        f["evidence"] for f in lab.verify()["findings"] if f["limit"] == "haproxy.client_address"
    )
    match = re.search(r"telemt-(\d)", seen)
    assert match, f"no replica in {seen!r}"
    return replace(sabotage, target=f"haproxy/telemt-{3 - int(match[1])}")


# A limit that the test before has left broken would be found here, too.
@pytest.mark.parametrize("sabotage", ALONE, ids=named)
def test_exactly_the_broken_limit_is_found(
    sabotage: Sabotage, lab_of: Callable[[str], Lab]
) -> None:
    lab = lab_of(sabotage.link)
    here = on_target(sabotage, lab)
    with here.broken(lab, here.target):
        found = [wrong for wrong in lab.wrong() if wrong[0] not in here.by_chance]
        assert found == [finding(here)]


def test_no_requirement_is_without_its_sabotage(lab_of: Callable[[str], Lab]) -> None:
    """Host rows are left alone by a lab; each other (limit, role) has one above."""
    required = set()
    for lab in map(lab_of, LINKS):
        plan = make_plan(load(lab.folder / "stack.yaml"))
        required |= {
            (r.limit, role_of(r.target))
            for r in plan.requirements
            if role_of(r.target) is not Role.HOST
        }
        findings = lab.verify()["findings"]
        assert not [f for f in findings if f["verdict"] in WRONG], "all is mended"
        reported = {(f["limit"], f["target"]) for f in findings}
        assert reported == {(r.limit, r.target) for r in plan.requirements}
    broken = {(s.limit, role_of(s.target)) for s in SABOTAGES}
    assert required - broken == set()


def test_a_broken_limit_says_what_to_do(lab_of: Callable[[str], Lab]) -> None:
    lab = lab_of("unix")
    sabotage = next(s for s in SABOTAGES if s.limit == "net.core.somaxconn")
    with sabotage.broken(lab, sabotage.target):
        done = lab.run("verify", "--json")
        finding = next(f for f in json.loads(done.stdout)["findings"] if f["verdict"] == "short")
    assert finding["got"] == 4096
    assert finding["wanted"] == 65535
    assert "recreate the container" in finding["remedy"]
    assert finding["evidence"]
