"""The model's arithmetic: properties that hold for every stack, and numbers worked out by hand."""

from __future__ import annotations

from dataclasses import fields, replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stackctl.plan.predict import Ceiling, Granted, budgets, conntrack_each, predict
from stackctl.plan.sizes import SKEW

PROPERTY = settings(max_examples=60)

NUMBERS = st.integers(0, 5_000_000)
MORE = st.integers(1, 1_000_000)

LIMITS = (
    "frontend_maxconn",
    "global_maxconn",
    "server_maxconn",
    "max_connections",
    "haproxy_nofile",
    "telemt_nofile",
    "link_ports",
    "outward_ports",
    "conntrack_max",
    "file_max",
    "memory",
    "haproxy_memory",
)
"""More of these is never worse."""

MAY_BE_NONE = ("haproxy_nofile", "memory", "haproxy_memory")

COSTS = (
    "haproxy_own_connections",
    "haproxy_own",
    "telemt_own",
    "conntrack_used",
    "client_bytes",
)
"""More of these is never better."""

STACKS = st.builds(
    Granted,
    network=st.sampled_from(["bridge", "host"]),
    link=st.sampled_from(["unix", "tcp"]),
    replicas=st.integers(1, 50),
    even=st.booleans(),
    middle_proxy=st.booleans(),
    lab=st.booleans(),
    tracked=st.booleans(),
    **{name: NUMBERS for name in LIMITS if name not in MAY_BE_NONE},
    haproxy_memory=st.none() | st.integers(0, 1 << 36),
    haproxy_nofile=st.none() | NUMBERS,
    memory=st.none() | st.integers(0, 1 << 40),
    haproxy_own_connections=st.integers(0, 100),
    haproxy_own=st.integers(0, 500),
    telemt_own=st.integers(0, 3000),
    conntrack_used=st.integers(0, 300_000),
    client_bytes=st.integers(1, 100_000),
)

AMPLE = Granted(
    network="bridge",
    link="unix",
    replicas=2,
    even=True,
    middle_proxy=False,
    lab=True,
    frontend_maxconn=8000,
    global_maxconn=8064,
    haproxy_own_connections=64,
    server_maxconn=8000,
    max_connections=8464,
    haproxy_nofile=1_048_576,
    haproxy_own=170,
    telemt_nofile=1_048_576,
    telemt_own=2000,
    link_ports=55_536,
    outward_ports=55_536,
    conntrack_max=2_097_152,
    conntrack_used=0,
    tracked=True,
    file_max=2_097_152,
    memory=16 << 30,
    client_bytes=17_700,
)


def held(granted: Granted) -> int:
    return predict(granted)[0].holds


def of(granted: Granted, limit: str, where: str) -> Ceiling:
    return next(c for c in predict(granted) if (c.limit, c.where) == (limit, where))


def test_every_number_of_the_model_is_in_a_property() -> None:
    kinds = {"network", "link", "replicas", "even", "middle_proxy", "lab", "tracked"}
    assert {field.name for field in fields(Granted)} == {*LIMITS, *COSTS, *kinds}


@PROPERTY
@given(STACKS, st.sampled_from(LIMITS), MORE)
def test_more_of_a_limit_never_holds_less(stack: Granted, name: str, more: int) -> None:
    size = getattr(stack, name)
    if size is None:
        return
    assert held(replace(stack, **{name: size + more})) >= held(stack)


@PROPERTY
@given(STACKS, st.sampled_from(COSTS), MORE)
def test_more_of_a_cost_never_holds_more(stack: Granted, name: str, more: int) -> None:
    assert held(replace(stack, **{name: getattr(stack, name) + more})) <= held(stack)


@PROPERTY
@given(STACKS)
def test_it_never_promises_more_than_any_single_budget_allows(stack: Granted) -> None:
    clients = held(stack)
    for budget in budgets(stack):
        share = -(-clients // budget.places)
        assert budget.own + share * budget.each <= budget.size or not clients, budget


@PROPERTY
@given(STACKS)
def test_one_client_more_is_more_than_the_first_budget_has(stack: Granted) -> None:
    lowest = predict(stack)[0]
    budget = next(b for b in budgets(stack) if (b.limit, b.where) == (lowest.limit, lowest.where))
    share = -(-(lowest.holds + 1) // budget.places)
    assert budget.own + share * budget.each > budget.size


@PROPERTY
@given(STACKS, st.sampled_from(LIMITS), MORE)
def test_raising_a_limit_that_is_not_first_changes_nothing(
    stack: Granted, name: str, more: int
) -> None:
    size = getattr(stack, name)
    if size is None:
        return
    before = predict(stack)
    # Two ceilings at one number are both first.
    lowest = {(c.limit, c.where) for c in before if c.holds == before[0].holds}
    raised = replace(stack, **{name: size + more})
    moved = {
        (old.limit, old.where)
        for old, new in zip(budgets(stack), budgets(raised), strict=True)
        if old != new
    }
    if not moved & lowest:
        assert held(raised) == before[0].holds


@PROPERTY
@given(STACKS)
def test_ceilings_ascend_and_name_a_place_once(stack: Granted) -> None:
    found = predict(stack)
    assert [c.holds for c in found] == sorted(c.holds for c in found)
    assert len({(c.limit, c.where) for c in found}) == len(found)
    assert all(0 <= c.least <= c.holds for c in found)


@PROPERTY
@given(STACKS)
def test_hashing_by_address_costs_at_most_the_skew(stack: Granted) -> None:
    even = {(c.limit, c.where): c for c in predict(replace(stack, even=True))}
    for hashed in predict(replace(stack, even=False)):
        spread = even[hashed.limit, hashed.where]
        assert spread.least == spread.holds == hashed.holds
        assert hashed.least >= int(spread.holds / SKEW)


@PROPERTY
@given(STACKS)
def test_a_unix_link_never_holds_less_than_a_tcp_link(stack: Granted) -> None:
    assert held(replace(stack, link="unix")) >= held(replace(stack, link="tcp"))


@PROPERTY
@given(STACKS)
def test_another_replica_never_holds_less(stack: Granted) -> None:
    assert held(replace(stack, replicas=stack.replicas + 1)) >= held(stack)


def test_a_stack_with_room_everywhere_ends_at_its_own_number() -> None:
    lowest = predict(AMPLE)[0]
    assert (lowest.limit, lowest.holds) == ("haproxy.frontend_maxconn", 8000)


@pytest.mark.parametrize(
    ("limit", "where", "given_", "holds"),
    [
        # A replica: two descriptors a client, after its own.
        ("nofile", "telemt", {"telemt_nofile": 4000}, 2000),
        ("nofile", "telemt", {"telemt_nofile": 4000, "middle_proxy": True}, 4000),
        # HAProxy: the same, once for all clients.
        ("nofile", "haproxy", {"haproxy_nofile": 4170}, 2000),
        ("telemt.max_connections", "telemt", {"max_connections": 300}, 600),
        ("haproxy.server_maxconn", "haproxy/telemt", {"server_maxconn": 250}, 500),
        ("net.ipv4.ip_local_port_range", "haproxy/telemt", {"link": "tcp", "link_ports": 99}, 198),
        # Towards the data centre: a range for each namespace.
        ("net.ipv4.ip_local_port_range", "telemt/datacentre", {"outward_ports": 700}, 1400),
        (
            "net.ipv4.ip_local_port_range",
            "telemt/datacentre",
            {"outward_ports": 700, "network": "host"},
            700,
        ),
        # The guide's wall: 262,144 entries at two a client, and what is there already.
        ("net.netfilter.nf_conntrack_max", "host", {"conntrack_max": 262_144}, 131_072),
        (
            "net.netfilter.nf_conntrack_max",
            "host",
            {"conntrack_max": 262_144, "conntrack_used": 2_144, "link": "tcp"},
            86_666,
        ),
        ("net.netfilter.nf_conntrack_max", "haproxy", {"conntrack_max": 262_144}, 262_144),
        (
            "net.netfilter.nf_conntrack_max",
            "telemt",
            {"conntrack_max": 262_144, "link": "tcp", "conntrack_used": 9},
            262_144,
        ),
        ("net.netfilter.nf_conntrack_max", "datacentre", {"conntrack_max": 262_144}, 262_144),
        ("fs.file-max", "host", {"file_max": 10_003}, 2500),
        ("memory", "host", {"memory": 17_700_000}, 1000),
        ("memory", "haproxy", {"haproxy_memory": 17_640_000}, 2000),
    ],
)
def test_a_ceiling_worked_out_by_hand(
    limit: str, where: str, given_: dict[str, object], holds: int
) -> None:
    assert of(replace(AMPLE, **given_), limit, where).holds == holds


def test_ports_are_no_ceiling_of_a_unix_link_nor_of_telegrams_data_centres() -> None:
    limits = [c.limit for c in predict(replace(AMPLE, lab=False))]
    assert "net.ipv4.ip_local_port_range" not in limits


def test_an_untracked_host_has_no_ceiling_of_its_table_and_a_bridge_always_has() -> None:
    untracked = replace(AMPLE, tracked=False)
    table = "net.netfilter.nf_conntrack_max"
    assert table in [c.limit for c in predict(untracked)]
    assert table not in [c.limit for c in predict(replace(untracked, network="host"))]


def test_middle_proxies_take_the_leg_to_the_data_centre_out_of_the_table() -> None:
    assert conntrack_each("bridge", "tcp", middle_proxy=False) == {
        "host": 3,
        "haproxy": 2,
        "telemt": 2,
    }
    assert conntrack_each("bridge", "unix", middle_proxy=True) == {
        "host": 1,
        "haproxy": 1,
        "telemt": 0,
    }


def test_hashed_clients_have_two_numbers_on_what_each_replica_has() -> None:
    hashed = replace(AMPLE, even=False, max_connections=1000)
    found = of(hashed, "telemt.max_connections", "telemt")
    assert (found.least, found.holds) == (1600, 2000)
    assert of(hashed, "haproxy.frontend_maxconn", "haproxy").least == 8000
