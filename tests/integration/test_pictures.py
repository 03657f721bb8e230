"""The pictures of docs/ show today's limits table; `make pictures` makes them from real runs.

They need an engine and a whole machine, so a picture that is old fails here, not in `make unit`.
"""

from __future__ import annotations

import pytest
from pictures import keys_of, lines_of, remedies_of

from readme import ROOT
from stackctl.limits.rows import PREPARE_HOST
from stackctl.plan import make_plan
from stackctl.spec import load

PICTURES = {"report.svg": "lab.yaml", "production.svg": "production.yaml"}
"""Picture → the stack file that it was made with."""


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
