"""Every row of the limits table becomes requirements: each on each of its targets, exactly once."""

from __future__ import annotations

from collections import Counter

import pytest

from stackctl.limits import HOST_PLACES, INFINITY, TABLE, Limit, Place, Role, Scope
from stackctl.limits.targets import HAPROXY, HOST, role_of
from stackctl.plan import HostFacts, Plan, Requirement, make_plan
from stackctl.spec import Stack

# One replica with density, eight without: every shape of a stack that changes what is required.
SHAPES = [
    pytest.param(network, link, replicas, id=f"{network}-{link}-{replicas}")
    for network in ("bridge", "host")
    for link in ("unix", "tcp")
    for replicas in (1, 8)
]


def shaped(network: str, link: str, replicas: int) -> Plan:
    buffers = "density" if replicas == 1 else "throughput"
    return planned(network=network, link=link, replicas=replicas, buffers=buffers)


EVERY_SHAPE = pytest.mark.parametrize(("network", "link", "replicas"), SHAPES)


def planned(facts: HostFacts | None = None, **keys: object) -> Plan:
    return make_plan(Stack.model_validate({"name": "lab", "connections": 8000, **keys}), facts)


def applies(row: Limit, plan: Plan) -> bool:
    return (
        row.link in {"", plan.link}
        and row.network in {"", plan.network}
        and row.buffers in {"", plan.buffers}
    )


def of(plan: Plan, limit: str, target: str = HAPROXY) -> Requirement:
    (found,) = [r for r in plan.requirements if (r.limit, r.target) == (limit, target)]
    return found


@EVERY_SHAPE
def test_every_row_is_required_unless_it_belongs_to_another_link_or_mode_of_buffers(
    network: str, link: str, replicas: int
) -> None:
    plan = shaped(network, link, replicas)
    expected = {key for key, row in TABLE.items() if applies(row, plan)}
    assert {requirement.limit for requirement in plan.requirements} == expected


@EVERY_SHAPE
def test_no_limit_is_required_twice_on_one_target(network: str, link: str, replicas: int) -> None:
    plan = shaped(network, link, replicas)
    counts = Counter((r.limit, r.target) for r in plan.requirements)
    assert set(counts.values()) == {1}


@EVERY_SHAPE
def test_each_limit_is_required_on_every_target_of_its_roles(
    network: str, link: str, replicas: int
) -> None:
    names = [f"telemt-{n}" for n in range(1, replicas + 1)]
    by_role = {
        Role.HOST: {HOST},
        Role.HAPROXY: {HAPROXY},
        Role.TELEMT: set(names),
        Role.LINK: {f"haproxy/{name}" for name in names},
    }
    plan = shaped(network, link, replicas)
    for row in TABLE.values():
        if not applies(row, plan):
            continue
        roles = (Role.HOST,) if network == "host" and row.scope is Scope.NETNS else row.on
        expected = set().union(*(by_role[role] for role in roles))
        assert {r.target for r in plan.requirements if r.limit == row.key} == expected, row.key


@EVERY_SHAPE
def test_requirements_stand_in_the_tables_order(network: str, link: str, replicas: int) -> None:
    plan = shaped(network, link, replicas)
    order = list(TABLE)
    places = [order.index(requirement.limit) for requirement in plan.requirements]
    assert places == sorted(places)


@EVERY_SHAPE
def test_host_files_carry_the_hosts_requirements_and_containers_their_own(
    network: str, link: str, replicas: int
) -> None:
    for requirement in shaped(network, link, replicas).requirements:
        for written in requirement.written:
            assert (written.place in HOST_PLACES) == (requirement.target == HOST)


@EVERY_SHAPE
def test_what_can_be_set_on_a_target_is_set_there(network: str, link: str, replicas: int) -> None:
    for requirement in shaped(network, link, replicas).requirements:
        on_host = requirement.target == HOST
        settings = [
            s for s in TABLE[requirement.limit].settings if (s.place in HOST_PLACES) == on_host
        ]
        assert [(w.place, w.where) for w in requirement.written] == [
            (s.place, s.where) for s in settings
        ]
        assert all("{}" not in written.text for written in requirement.written)


def test_a_namespace_limit_goes_to_the_host_on_the_hosts_network() -> None:
    plan = planned(network="host", replicas=2)
    somaxconn = of(plan, "net.core.somaxconn", HOST)
    assert {w.place for w in somaxconn.written} == {Place.SYSCTL_D}
    assert not [
        written
        for requirement in plan.requirements
        for written in requirement.written
        if written.place is Place.COMPOSE_SYSCTL
    ]


def test_congestion_control_is_set_where_clients_are_faced_only() -> None:
    plan = planned(replicas=2)
    targets = {
        r.target
        for r in plan.requirements
        if any(w.where == "net.ipv4.tcp_congestion_control" for w in r.written)
    }
    assert "telemt-1" not in targets
    assert HAPROXY in targets


def test_a_replica_does_not_inherit_the_clients_congestion_control_on_its_link() -> None:
    own = of(planned(link="tcp"), "telemt.congestion_control", "telemt-1")
    assert own.wanted == "reno"
    assert {(w.where, w.text) for w in own.written} == {("net.ipv4.tcp_congestion_control", "reno")}
    one_namespace = planned(link="tcp", network="host")
    assert "telemt.congestion_control" not in {r.limit for r in one_namespace.requirements}
    assert any("uses the clients' bbr" in warning for warning in one_namespace.warnings)


def test_sizes_are_what_derived_rows_want() -> None:
    plan = planned(connections=30_000, replicas=4)
    for requirement in plan.requirements:
        derive = TABLE[requirement.limit].derive
        if derive:
            assert requirement.wanted == getattr(plan.sizes, derive), requirement.limit


def test_rows_without_an_override_want_the_tables_value() -> None:
    for requirement in planned(replicas=2).requirements:
        row = TABLE[requirement.limit]
        assert row.derive or requirement.wanted == row.wanted
        assert not requirement.chosen
        assert not requirement.fitted


@pytest.mark.parametrize(("mode", "left"), [("fit", True), ("strict", False)])
def test_a_lab_leaves_host_rows_alone_and_production_demands_them(mode: str, left: bool) -> None:
    for network in ("bridge", "host"):
        for requirement in planned(network=network, limits={"mode": mode}).requirements:
            assert bool(requirement.left) == (left and requirement.target == HOST)


@pytest.mark.parametrize(
    ("key", "given", "wanted", "target"),
    [
        ("nofile", 65536, (65536, 65536), HAPROXY),
        ("nofile", {"soft": 40000, "hard": 65536}, (40000, 65536), "telemt-1"),
        ("pids", 512, 512, "telemt-1"),
        ("net.ipv4.tcp_fin_timeout", 20, 20, HAPROXY),
        ("net.ipv4.ip_local_port_range", [20000, 60000], (20000, 60000), "telemt-1"),
        ("fs.file-max", 3000000, 3000000, HOST),
        ("haproxy.timeout.client", 600, 600, HAPROXY),
        ("telemt.listen_backlog", 1000, 1000, "telemt-1"),
    ],
)
def test_an_override_is_what_is_wanted_written_and_said(
    key: str, given: object, wanted: object, target: str
) -> None:
    requirement = of(planned(limits={"mode": "fit", key: given}), key, target)
    assert requirement.wanted == wanted
    assert requirement.chosen
    assert all(written.value == wanted for written in requirement.written)


def test_an_override_touches_no_other_row() -> None:
    before = planned()
    after = planned(limits={"mode": "fit", "net.ipv4.tcp_fin_timeout": 20})
    changed = {
        a.limit for a, b in zip(before.requirements, after.requirements, strict=True) if a != b
    }
    assert changed == {"net.ipv4.tcp_fin_timeout"}


@pytest.mark.parametrize(
    ("key", "target"), [("haproxy.backlog", HAPROXY), ("telemt.listen_backlog", "telemt-1")]
)
def test_a_lowered_somaxconn_caps_the_backlogs_under_it(key: str, target: str) -> None:
    requirement = of(planned(limits={"mode": "fit", "net.core.somaxconn": 4096}), key, target)
    assert requirement.wanted == 4096
    assert all(written.value == 4096 for written in requirement.written)


def test_a_raised_somaxconn_leaves_the_backlogs() -> None:
    plan = planned(limits={"mode": "fit", "net.core.somaxconn": 100_000})
    assert of(plan, "haproxy.backlog").wanted == 65535


def test_directives_hold_the_value_as_files_spell_it() -> None:
    plan = planned(replicas=2)
    assert [w.text for w in of(plan, "haproxy.timeout.client").written] == ["timeout client 3600s"]
    assert [w.text for w in of(plan, "engine.tasks", HOST).written] == ["TasksMax=infinity"] * 3
    texts = [w.text for w in of(plan, "net.ipv4.ip_local_port_range").written]
    assert texts == ["10000 65535"]


@pytest.mark.parametrize(
    ("target", "role"),
    [
        ("host", Role.HOST),
        ("haproxy", Role.HAPROXY),
        ("telemt-12", Role.TELEMT),
        ("haproxy/telemt-12", Role.LINK),
    ],
)
def test_a_targets_name_tells_its_role(target: str, role: Role) -> None:
    assert role_of(target) is role


def test_the_plan_is_the_same_each_time() -> None:
    assert planned(replicas=8) == planned(replicas=8)


def test_infinity_is_wanted_of_the_engines_tasks() -> None:
    assert of(planned(), "engine.tasks", HOST).wanted == INFINITY
