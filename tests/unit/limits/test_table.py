"""Every row of the limits table is complete, and everything it names exists."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import fields
from itertools import product

import pytest

from stackctl.limits import (
    HOST_PLACES,
    INFINITY,
    TABLE,
    Compare,
    Depth,
    Kind,
    Limit,
    Place,
    Reader,
    Role,
    Scope,
)
from stackctl.limits.network import host_row, netns_row
from stackctl.limits.values import compact, parse
from stackctl.plan import make_plan
from stackctl.plan.sizes import Sizes
from stackctl.render import render
from stackctl.spec import Secrets, Stack


def for_every_row(check: Callable[[Limit], None]) -> Callable[[], None]:
    """One test for all rows: as a thousand they would take longer than what they check."""

    def test() -> None:
        for row in TABLE.values():
            check(row)

    test.__name__, test.__doc__ = check.__name__, check.__doc__
    return test


SHALLOW_TO_DEEP = (Depth.DECLARED, Depth.APPLIED, Depth.EFFECTIVE)
LENGTHS = {Kind.PORT_RANGE: 2, Kind.SOFT_HARD: 2, Kind.TRIPLE: 3}
ROLES = {
    Scope.HOST: {Role.HOST},
    Scope.NETNS: {Role.HOST, Role.HAPROXY, Role.TELEMT},
    Scope.PROCESS: {Role.HAPROXY, Role.TELEMT},
    Scope.LISTENER: {Role.HAPROXY, Role.TELEMT},
    Scope.HAPROXY: {Role.HAPROXY},
    Scope.LINK: {Role.LINK},
    Scope.TELEMT: {Role.TELEMT},
}
FILES = {
    Place.SYSCTL_D: "host/etc/sysctl.d/",
    Place.MODULES_LOAD: "host/etc/modules-load.d/",
    Place.LIMITS_D: "host/etc/security/limits.d/",
    Place.SYSTEMD: "host/etc/systemd/system/",
    Place.COMPOSE_SYSCTL: "compose.yaml",
    Place.COMPOSE_ULIMIT: "compose.yaml",
    Place.COMPOSE_PIDS: "compose.yaml",
    Place.HAPROXY_CFG: "haproxy/",
    Place.TELEMT_TOML: "telemt/",
}


@pytest.fixture(scope="module")
def rendered() -> dict[str, str]:
    """Path → all texts of it, over both networks, kinds of link and modes of buffers."""
    texts: dict[str, str] = {}
    for network, link, buffers in product(
        ("bridge", "host"), ("unix", "tcp"), ("throughput", "density")
    ):
        keys = {"network": network, "link": link, "buffers": buffers}
        stack = Stack.model_validate({"name": "lab", "connections": 8000, **keys})
        for path, file in render(make_plan(stack), Secrets({"user": "0" * 32})).items():
            texts[path] = texts.get(path, "") + file.text
    return texts


def test_each_row_stands_under_its_own_key() -> None:
    assert all(key == row.key for key, row in TABLE.items())


def test_no_row_hides_another_with_the_same_key() -> None:
    from stackctl.limits import buffers, conntrack, descriptors, network, proxy

    rows = [row for part in (descriptors, network, conntrack, proxy, buffers) for row in part.ROWS]
    assert len(rows) == len(TABLE)


@for_every_row
def test_row_says_why_and_what_to_do(row: Limit) -> None:
    assert len(row.why.split()) >= 3
    assert len(row.remedy.split()) >= 3
    assert row.section in {"1", "2", "3", "4"}
    assert row.on
    assert row.reads


@for_every_row
def test_row_has_the_guides_value_or_says_why_not(row: Limit) -> None:
    assert row.guide or row.departs


@for_every_row
def test_row_that_the_guide_is_silent_about_says_so(row: Limit) -> None:
    assert row.guide or row.departs.startswith("Not in the guide") or row.derive, row.key


@pytest.mark.parametrize("make", [host_row, netns_row])
def test_a_limit_that_is_not_in_the_guide_is_six_lines(make: Callable[..., Limit]) -> None:
    row = make(
        "net.ipv4.tcp_rfc1337",
        1,
        "a late reset ends TIME-WAIT early, and old segments reach a new connection",
        kind=Kind.FLAG,
        guide="",
        departs="Not in the guide: RFC 1337",
    )
    assert (row.guide, row.compare) == ("", Compare.EQUAL)
    assert row.remedy
    assert row.reads
    assert [s.place for s in row.settings if s.place in HOST_PLACES] == [Place.SYSCTL_D]


@for_every_row
def test_row_that_differs_from_the_guide_says_why(row: Limit) -> None:
    if not row.guide or row.wanted is None:
        return
    try:
        guided = parse(row.kind, row.guide)
    except ValueError:
        return
    assert guided == row.wanted or row.departs


@for_every_row
def test_row_derived_from_connections_says_how_it_departs_from_the_guides_number(
    row: Limit,
) -> None:
    assert not row.derive or row.departs


@for_every_row
def test_value_is_given_or_derived_and_never_both(row: Limit) -> None:
    assert (row.wanted is None) == bool(row.derive)


@for_every_row
def test_derivation_is_a_number_of_sizes(row: Limit) -> None:
    assert not row.derive or row.derive in {field.name for field in fields(Sizes)}


@for_every_row
def test_value_has_the_shape_of_its_kind(row: Limit) -> None:
    if row.wanted is None:
        assert row.kind not in LENGTHS
        assert row.kind is not Kind.WORD
    elif row.kind in LENGTHS:
        assert isinstance(row.wanted, tuple)
        assert len(row.wanted) == LENGTHS[row.kind]
        assert list(row.wanted) == sorted(row.wanted)
    else:
        assert isinstance(row.wanted, str) == (row.kind is Kind.WORD)
        assert parse(row.kind, compact(row.wanted)) == row.wanted
    if row.kind is Kind.FLAG:
        assert row.wanted in {0, 1}


@for_every_row
def test_comparison_fits_the_kind(row: Limit) -> None:
    if row.kind is Kind.PORT_RANGE:
        assert row.compare in {Compare.COVERS, Compare.WITHIN}
    elif row.kind in {Kind.WORD, Kind.FLAG}:
        assert row.compare is Compare.EQUAL
    else:
        assert row.compare in {Compare.EQUAL, Compare.AT_LEAST, Compare.AT_MOST}


@for_every_row
def test_readings_go_from_shallow_to_deep(row: Limit) -> None:
    depths = [SHALLOW_TO_DEEP.index(read.depth) for read in row.reads]
    assert depths == sorted(depths)
    assert row.depth is SHALLOW_TO_DEEP[max(depths)]


@for_every_row
def test_reading_of_a_part_names_a_part_there_is(row: Limit) -> None:
    for read in row.reads:
        if read.part is not None:
            assert isinstance(row.wanted, tuple)
            assert 0 <= read.part < len(row.wanted)


@for_every_row
def test_no_row_is_read_twice_in_the_same_way(row: Limit) -> None:
    ways = [(read.reader, read.arg) for read in row.reads]
    assert len(set(ways)) == len(ways)


@for_every_row
def test_row_is_declared_on_what_its_scope_governs(row: Limit) -> None:
    assert set(row.on) <= ROLES[row.scope]
    assert len(set(row.on)) == len(row.on)
    assert row.link in {"", "unix", "tcp"}
    assert row.network in {"", "bridge", "host"}
    assert row.buffers in {"", "throughput", "density"}


@for_every_row
def test_ceiling_is_a_number_of_the_table_that_lets_the_row_pass(row: Limit) -> None:
    if row.ceiling:
        cap, wanted = TABLE[row.ceiling].wanted, row.wanted
        assert isinstance(cap, int)
        assert isinstance(wanted, int)
        assert wanted <= cap


@for_every_row
def test_row_is_settable_wherever_it_is_declared(row: Limit) -> None:
    places = {setting.place for setting in row.settings}
    if row.settings:
        assert bool(places & HOST_PLACES) == (Role.HOST in row.on or row.scope is Scope.NETNS)
        assert bool(places - HOST_PLACES) == (set(row.on) != {Role.HOST})


def test_every_setting_of_a_row_is_rendered_in_the_file_of_its_place(
    rendered: dict[str, str],
) -> None:
    for setting in (setting for row in TABLE.values() for setting in row.settings):
        texts = [text for path, text in rendered.items() if path.startswith(FILES[setting.place])]
        sought = setting.text.partition("{}")[0].strip() or setting.where
        lines = [line for text in texts for line in text.splitlines() if sought in line]
        assert [line for line in lines if not line.lstrip().startswith("#")], setting


def test_every_reader_is_implemented_and_used() -> None:
    from stackctl.checks.readers import READERS

    assert set(READERS) == set(Reader)
    assert {read.reader for row in TABLE.values() for read in row.reads} == set(Reader)


def test_every_place_is_used_and_has_a_file(rendered: dict[str, str]) -> None:
    assert {s.place for row in TABLE.values() for s in row.settings} == set(Place) == set(FILES)
    for start in FILES.values():
        assert any(path.startswith(start) for path in rendered)


def test_infinity_is_above_every_number_of_the_kernel() -> None:
    assert INFINITY == 2**63 - 1
