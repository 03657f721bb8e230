"""A report's picture is read whole; tests/integration/test_pictures.py checks those of docs/."""

from __future__ import annotations

from pictures import keys_of, lines_of, remedies_of

from readme import ROOT
from stackctl.checks.finding import LimitFinding, Verdict
from stackctl.limits import Depth
from stackctl.limits.rows import PREPARE_HOST
from stackctl.plan import make_plan
from stackctl.report.terminal import findings_svg
from stackctl.spec import load


def test_what_the_report_draws_is_read_whole() -> None:
    """A picture of today, made of findings as `verify` has them, and one with a row too few."""
    plan = make_plan(load(ROOT / "stack/lab.yaml"))
    found = [
        LimitFinding(
            about=r.limit,
            verdict=Verdict.SKIPPED if r.target == "host" else Verdict.OK,
            evidence="seen",
            remedy=PREPARE_HOST if r.target == "host" else "",
            target=r.target,
            wanted=r.wanted,
            got=r.wanted,
            depth=Depth.APPLIED,
            reason="a lab leaves the host as it is" if r.target == "host" else "",
        )
        for r in plan.requirements
    ]
    wanted = list(dict.fromkeys(r.limit for r in plan.requirements))
    lines = lines_of(findings_svg(plan, found))
    assert keys_of(lines) == wanted
    assert remedies_of(lines) == [PREPARE_HOST]
    fewer = [one for one in found if one.limit != "nofile"]
    assert keys_of(lines_of(findings_svg(plan, fewer))) == [k for k in wanted if k != "nofile"]
