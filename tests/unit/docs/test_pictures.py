"""The pictures of docs/ show today's limits table; `make pictures` makes them from real runs."""

from __future__ import annotations

import html
import re
from collections.abc import Sequence

import pytest

from readme import ROOT
from stackctl.checks.finding import LimitFinding, Verdict
from stackctl.limits import Depth
from stackctl.limits.rows import PREPARE_HOST
from stackctl.plan import make_plan
from stackctl.report.terminal import findings_svg
from stackctl.spec import load

PICTURES = {"report.svg": "lab.yaml", "production.svg": "production.yaml"}
"""Picture → the stack file that it was made with."""

CELL = re.compile(r'<text class="[^"]*" x="([\d.]+)" y="([\d.]+)"[^>]*>(.*?)</text>')


def lines_of(svg: str) -> list[list[str]]:
    """The lines of a terminal's picture, each as its texts from left to right."""
    rows: dict[float, list[tuple[float, str]]] = {}
    for x, y, text in CELL.findall(svg):
        shown = html.unescape(text).replace("\xa0", " ").strip()
        rows.setdefault(float(y), []).append((float(x), shown))
    return [[text for _, text in sorted(rows[y])] for y in sorted(rows)]


def keys_of(lines: Sequence[Sequence[str]]) -> list[str]:
    """Keys of the limits that a report's table shows, in its order, each once."""
    start = next(at for at, line in enumerate(lines) if line[0].startswith("──")) + 1
    shown = [line[0] for line in lines[start:] if len(line) >= 5]
    return list(dict.fromkeys(shown))


def remedies_of(lines: Sequence[Sequence[str]]) -> list[str]:
    """What a report says to do about limits that were skipped; a note goes over several lines."""
    text = " ".join(" ".join(" ".join(line) for line in lines).split())
    notes = re.split(r"(?:^| )(?=(?:skipped|fitted): |\d+ (?:ok|fitted|skipped), )", text)
    return [note.partition(" do: ")[2] for note in notes if note.startswith("skipped: ")]


@pytest.mark.parametrize("picture", PICTURES)
def test_its_rows_are_those_of_the_limits_table(picture: str) -> None:
    stack = load(ROOT / "stack" / PICTURES[picture])
    wanted = list(dict.fromkeys(r.limit for r in make_plan(stack).requirements))
    shown = keys_of(lines_of((ROOT / "docs" / picture).read_text(encoding="utf-8")))
    assert shown == wanted, f"docs/{picture} is of another table: make pictures"


@pytest.mark.parametrize("picture", PICTURES)
def test_it_is_of_the_stack_that_ships(picture: str) -> None:
    stack = load(ROOT / "stack" / PICTURES[picture])
    (heading,) = lines_of((ROOT / "docs" / picture).read_text(encoding="utf-8"))[0]
    assert heading.startswith(f"{stack.name}: {stack.connections} connections")
    assert heading.endswith(f"network {stack.network}, {stack.link} links, {stack.limits.mode}")


@pytest.mark.parametrize("picture", PICTURES)
def test_its_remedy_for_the_host_is_the_one_of_today(picture: str) -> None:
    told = remedies_of(lines_of((ROOT / "docs" / picture).read_text(encoding="utf-8")))
    assert not told or picture == "report.svg", "only a lab leaves the host alone"
    assert all(one.endswith(PREPARE_HOST) for one in told), f"docs/{picture} is old: make pictures"


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
