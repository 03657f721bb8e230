"""Two stacks on one host: the greater wish wins, and undoing one leaves the other's."""

from __future__ import annotations

import pytest

from .conftest import Host

KEY = "net.core.somaxconn"
WISHES = {"one": 70000, "two": 90000}


@pytest.mark.parametrize("order", [("one", "two"), ("two", "one")])
@pytest.mark.parametrize("first_out", ["one", "two"])
def test_the_greater_wins(dash: Host, order: tuple[str, str], first_out: str) -> None:
    start = dash.tree()
    for name, wish in WISHES.items():
        dash.render(name, **{KEY: wish})
    for name in order:
        assert dash.run("apply", stack=name).code == 0
    assert dash.sysctl(KEY) == "90000"
    assert {dash.boot(name)[KEY] for name in WISHES} == {"90000"}
    for name in order:
        assert dash.run("check", stack=name).code == 0

    (stays,) = set(WISHES) - {first_out}
    assert dash.run("rollback", stack=first_out).code == 0
    assert dash.sysctl(KEY) == dash.boot(stays)[KEY] == str(WISHES[stays])
    assert not dash.path(f"etc/sysctl.d/99-zz-stackctl-{first_out}.conf").exists()
    assert dash.run("check", stack=stays).code == 0

    assert dash.run("rollback", stack=stays).code == 0
    assert dash.tree() == start


def test_a_lowered_wish_goes_down_to_what_was_there_and_no_further(dash: Host) -> None:
    dash.sysctl(KEY, "80000")
    for wish, holds in ((100000, "100000"), (90000, "90000"), (70000, "80000")):
        dash.render("edge", **{KEY: wish})
        assert dash.run("apply").code == 0
        assert (wish, dash.sysctl(KEY), dash.boot()[KEY]) == (wish, holds, holds)
