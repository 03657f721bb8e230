"""The first limit of a plan: from what is granted, said in fit mode and refused in strict."""

from __future__ import annotations

import pytest

from stackctl.errors import PlanError, StrictError
from stackctl.plan import HostFacts, Plan, make_plan
from stackctl.plan.carry import refuse_shortfall
from stackctl.plan.predict import Ceiling
from stackctl.spec import Stack

PORTS = "net.ipv4.ip_local_port_range"
TABLE_SIZE = "net.netfilter.nf_conntrack_max"
FEW_PORTS = {PORTS: [20_000, 20_999]}


def planned(known: HostFacts | None = None, *, starting: bool = True, **keys: object) -> Plan:
    stack = Stack.model_validate({"name": "lab", "connections": 3000, **keys})
    return make_plan(stack, known, starting=starting)


def facts(ceilings: dict[str, int] | None = None, used: int = 0, **sysctls: str) -> HostFacts:
    return HostFacts(ceilings or {}, {}, sysctls, conntrack_used=used)


def of(plan: Plan, limit: str, where: str) -> Ceiling:
    return next(c for c in plan.ceilings if (c.limit, c.where) == (limit, where))


def capacity_warnings(plan: Plan) -> list[str]:
    return [warning for warning in plan.warnings if warning.startswith("capacity")]


@pytest.mark.parametrize("network", ["bridge", "host"])
@pytest.mark.parametrize("link", ["unix", "tcp"])
@pytest.mark.parametrize("balance", ["source", "leastconn"])
def test_a_plan_without_a_narrow_place_ends_at_its_own_number(
    network: str, link: str, balance: str
) -> None:
    plan = planned(network=network, link=link, balance=balance, replicas=3)
    lowest = plan.ceilings[0]
    assert (lowest.limit, lowest.holds) == ("haproxy.frontend_maxconn", 3000)
    assert not capacity_warnings(plan)


def test_the_engines_grant_is_what_counts() -> None:
    plan = planned(facts({"nofile": 20_000}), connections=8000)
    assert of(plan, "nofile", "telemt").holds == 9000
    room = of(plan, "nofile", "haproxy").holds - 8000
    needed = plan.sizes.haproxy_descriptors
    assert room == (20_000 - needed) // 2


def test_haproxy_can_be_given_just_the_number_that_the_model_says() -> None:
    known = facts({"nofile": 20_000})
    most = of(planned(known, replicas=3), "nofile", "haproxy").holds
    made = planned(known, connections=most, replicas=3)
    assert 20_000 - 2 < made.sizes.haproxy_descriptors <= 20_000
    with pytest.raises(PlanError, match="descriptors in haproxy"):
        planned(known, connections=most + 1, replicas=3)


def test_few_ports_towards_the_labs_data_centre_end_a_stack_of_unix_links() -> None:
    lab = {"telemt": {"datacentre": "lab"}, "limits": {"mode": "fit", **FEW_PORTS}}
    plan = planned(**lab)
    assert plan.ceilings[0].where == "telemt/datacentre"
    assert plan.ceilings[0].holds == 1000
    (warning,) = capacity_warnings(plan)
    assert "holds 1000 of 3000 connections" in warning
    assert f"widen limits.{PORTS}, or set `replicas: 3`" in warning
    assert not capacity_warnings(planned(replicas=3, **lab))


def test_on_the_hosts_network_all_replicas_share_its_running_range() -> None:
    lab = {"telemt": {"datacentre": "lab"}, "network": "host", "replicas": 3}
    known = facts(**{PORTS: "20000 20999"})
    plan = planned(known, **lab)
    assert of(plan, PORTS, "telemt/datacentre").holds == 1000
    assert "network: bridge" in capacity_warnings(plan)[0]
    assert of(planned(**lab), PORTS, "telemt/datacentre").holds == 55_536


def test_strict_starts_nothing_that_cannot_hold_its_number() -> None:
    few = {"limits": {"mode": "strict", "telemt.max_connections": 1000}}
    with pytest.raises(StrictError, match="holds 1000 of 3000") as raised:
        planned(**few)
    assert "replicas: 3" in raised.value.remedy
    # What runs is verified all the same.
    assert planned(starting=False, **few).ceilings[0].holds == 1000


def test_strict_starts_though_the_labs_own_data_centre_could_not_take_them() -> None:
    lab = {"telemt": {"datacentre": "lab"}, "limits": {"mode": "strict", **FEW_PORTS}}
    plan = planned(**lab)
    assert plan.ceilings[0].where == "telemt/datacentre"
    assert "holds 1000 of 3000 connections" in capacity_warnings(plan)[0]


def test_what_the_host_is_short_of_is_left_to_its_own_requirement() -> None:
    plan = planned(facts(**{TABLE_SIZE: "4000"}))
    refuse_shortfall(Stack(name="lab", connections=3000), plan.ceilings)
    assert plan.ceilings[0].holds == 2000
    assert "stackctl host apply" in capacity_warnings(plan)[0]


def test_a_cap_of_the_operators_own_on_each_replica_is_taken_as_it_is() -> None:
    own = {"limits": {"telemt.max_connections": 400}, "replicas": 2}
    plan = planned(**own)
    assert {r.wanted for r in plan.requirements if r.limit == "telemt.max_connections"} == {400}
    assert of(plan, "telemt.max_connections", "telemt").holds == plan.ceilings[0].holds == 800
    (warning,) = capacity_warnings(plan)
    assert "raise limits.telemt.max_connections, set `replicas: 8`" in warning


def test_entries_of_others_in_the_hosts_table_are_taken_off() -> None:
    known = facts(used=1000, **{TABLE_SIZE: "9000"})
    plan = planned(known)
    assert of(plan, TABLE_SIZE, "host").holds == 4000
    assert of(plan, TABLE_SIZE, "haproxy").holds == 9000


def test_an_unknown_host_has_what_the_table_wants_of_it() -> None:
    assert of(planned(), TABLE_SIZE, "host").holds == 2_097_152 // 2
    assert "memory" not in [c.limit for c in planned().ceilings]


def test_a_table_the_kernel_does_not_have_is_no_ceiling() -> None:
    assert TABLE_SIZE not in [c.limit for c in planned(facts()).ceilings]
