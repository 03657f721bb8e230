"""What this host and engine can grant: fitted and said, or refused before anything starts."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import pytest

from stackctl.errors import Exit, PlanError, StrictError
from stackctl.limits import TABLE, Place
from stackctl.limits.targets import HAPROXY, HOST
from stackctl.limits.values import digits
from stackctl.plan import HostFacts, Plan, Requirement, make_plan
from stackctl.spec import Stack


def facts(
    ceilings: Mapping[str, int] | None = None,
    choices: Mapping[str, tuple[str, ...]] | None = None,
    sysctls: Mapping[str, str] | None = None,
) -> HostFacts:
    # A host has every key that containers can be given, unless a test takes one away.
    has = {
        s.where: digits(limit.wanted)
        for limit in TABLE.values()
        for s in limit.settings
        if s.place is Place.COMPOSE_SYSCTL and isinstance(limit.wanted, int | tuple)
    }
    known = has | {BBR: "bbr"} | dict(sysctls or {})
    return HostFacts(ceilings=ceilings or {}, choices=choices or {}, sysctls=known)


def planned(known: HostFacts | None, limits: Mapping[str, object], **keys: object) -> Plan:
    stack = {"name": "lab", "connections": 8000, "replicas": 2, "limits": limits, **keys}
    return make_plan(Stack.model_validate(stack), known)


def of(plan: Plan, limit: str, target: str = HAPROXY) -> Requirement:
    (found,) = [r for r in plan.requirements if (r.limit, r.target) == (limit, target)]
    return found


FIT: Mapping[str, object] = {"mode": "fit"}
STRICT: Mapping[str, object] = {"mode": "strict"}
BBR = "net.ipv4.tcp_congestion_control"


@pytest.mark.parametrize("target", [HAPROXY, "telemt-1", "telemt-2"])
def test_fit_lowers_nofile_to_the_ceiling_and_says_why(target: str) -> None:
    requirement = of(planned(facts({"nofile": 20_000}), FIT), "nofile", target)
    assert requirement.wanted == (20_000, 20_000)
    assert [w.value for w in requirement.written] == [(20_000, 20_000)]
    assert "20000" in requirement.fitted
    assert "1048576" in requirement.fitted
    assert not requirement.chosen


def test_fit_sizes_each_replica_within_what_it_is_granted() -> None:
    plan = planned(facts({"nofile": 20_000}), FIT)
    assert plan.sizes.telemt_descriptors <= 20_000
    assert plan.sizes.haproxy_descriptors <= 20_000
    assert of(plan, "telemt.max_connections", "telemt-1").wanted == (
        plan.sizes.telemt_max_connections
    )


def test_fit_keeps_a_soft_limit_that_is_below_the_ceiling() -> None:
    limits = {"mode": "fit", "nofile": {"soft": 19_000, "hard": 90_000}}
    requirement = of(planned(facts({"nofile": 20_000}), limits), "nofile")
    assert requirement.wanted == (19_000, 20_000)
    assert requirement.fitted
    assert requirement.chosen


@pytest.mark.parametrize("ceiling", [1_048_576, 2**31])
@pytest.mark.parametrize("mode", [FIT, STRICT])
def test_a_ceiling_that_is_high_enough_changes_nothing(
    ceiling: int, mode: Mapping[str, object]
) -> None:
    requirement = of(planned(facts({"nofile": ceiling}), mode), "nofile")
    assert requirement.wanted == TABLE["nofile"].wanted
    assert not requirement.fitted


def test_strict_names_the_limit_the_ceiling_and_the_ways_out() -> None:
    with pytest.raises(StrictError) as raised:
        planned(facts({"nofile": 20_000}), STRICT)
    text = str(raised.value)
    for part in (
        "limits.nofile",
        "20000",
        "1048576",
        "CAP_SYS_RESOURCE",
        "stackctl host apply",
        "--fit",
    ):
        assert part in text
    assert "nothing was started" in text
    assert raised.value.exit_code is Exit.SHORT


CONNTRACK = "net.netfilter.nf_conntrack_tcp_timeout_established"


def without(known: HostFacts, key: str) -> HostFacts:
    return replace(known, sysctls={k: v for k, v in known.sysctls.items() if k != key})


def test_a_key_the_kernel_has_not_is_not_set_and_says_so() -> None:
    plan = planned(without(facts(), CONNTRACK), FIT)
    requirement = of(plan, CONNTRACK)
    assert "no such key" in requirement.left
    assert "load its module" in requirement.way_out
    assert CONNTRACK not in {w.where for _, w in plan.written(HAPROXY, Place.COMPOSE_SYSCTL)}


def test_strict_refuses_where_the_kernel_has_no_such_key() -> None:
    with pytest.raises(StrictError, match="no such key"):
        planned(without(facts(), CONNTRACK), STRICT)


def test_strict_wants_the_guide_of_a_stack_that_runs_already() -> None:
    stack = Stack.model_validate(
        {"name": "lab", "connections": 8000, "replicas": 2, "limits": {"mode": "strict"}}
    )
    plan = make_plan(stack, facts({"nofile": 20_000}), starting=False)
    requirement = of(plan, "nofile")
    assert requirement.wanted == TABLE["nofile"].wanted
    assert not requirement.fitted
    assert not requirement.left


def test_strict_names_everything_that_cannot_be_granted_at_once() -> None:
    known = facts({"nofile": 20_000, "nproc": 100}, {BBR: ("reno",)})
    with pytest.raises(StrictError) as raised:
        planned(known, STRICT)
    for key in ("nofile", "nproc", BBR):
        assert f"limits.{key}: " in raised.value.message


def test_strict_accepts_an_override_that_can_be_granted() -> None:
    plan = planned(facts({"nofile": 30_000}), {"mode": "strict", "nofile": 30_000})
    assert of(plan, "nofile").wanted == (30_000, 30_000)
    assert not of(plan, "nofile").fitted


def test_without_facts_nothing_is_fitted_or_refused() -> None:
    for mode in (FIT, STRICT):
        assert not any(r.fitted for r in planned(None, mode).requirements)


@pytest.mark.parametrize("given", [2_000_000, {"soft": 1024, "hard": 2_000_000}])
@pytest.mark.parametrize("mode", ["fit", "strict"])
def test_nofile_above_nr_open_is_a_mistake_in_the_file(mode: str, given: object) -> None:
    known = facts({"nofile": 1_048_576}, sysctls={"fs.nr_open": "1048576"})
    with pytest.raises(PlanError) as raised:
        planned(known, {"mode": mode, "nofile": given})
    assert str(raised.value) == (
        "limits.nofile: 2000000 is above this host's fs.nr_open 1048576; "
        "run the host preparation first (`stackctl host apply`), or lower it"
    )
    assert raised.value.exit_code is Exit.USAGE


def test_nofile_equal_to_nr_open_is_granted() -> None:
    known = facts({"nofile": 1_048_576}, sysctls={"fs.nr_open": "1048576"})
    assert of(planned(known, {"mode": "strict", "nofile": 1_048_576}), "nofile").chosen


@pytest.mark.parametrize("nofile", [5_000, 9_000])
def test_descriptors_too_few_for_the_connections_are_refused(nofile: int) -> None:
    with pytest.raises(PlanError) as raised:
        planned(None, {"mode": "fit", "nofile": nofile})
    text = str(raised.value)
    assert "descriptors" in text or "replicas" in text
    assert "nofile" in text


def test_descriptors_too_few_name_the_process_and_both_numbers() -> None:
    with pytest.raises(PlanError) as raised:
        planned(facts({"nofile": 10_000}), FIT)
    error = raised.value
    assert error.key == "connections"
    for part in ("8000", "haproxy", "10000", "this engine can grant at most"):
        assert part in str(error)


def test_a_million_clients_do_not_fit_one_haproxy_of_the_guides_nofile() -> None:
    with pytest.raises(
        PlanError, match=r"connections: 1000000 connections need 2\d{6} descriptors in haproxy"
    ):
        planned(None, FIT, connections=1_000_000, replicas=8)


def test_a_million_clients_fit_where_nofile_is_raised() -> None:
    plan = planned(None, {"mode": "fit", "nofile": 2_097_152}, connections=1_000_000, replicas=8)
    assert plan.sizes.frontend_maxconn == 1_000_000


@pytest.mark.parametrize(
    ("choices", "wanted", "fitted"),
    [
        (("reno", "cubic", "bbr"), "bbr", False),
        (("cubic", "reno"), "cubic", True),
        (("reno",), "reno", True),
    ],
)
def test_congestion_control_is_one_that_containers_may_use(
    choices: tuple[str, ...], wanted: str, fitted: bool
) -> None:
    requirement = of(planned(facts(choices={BBR: choices}), FIT), BBR)
    assert requirement.wanted == wanted
    assert {w.value for w in requirement.written} == {wanted}
    assert bool(requirement.fitted) == fitted
    if fitted:
        assert "bbr" in requirement.fitted
        assert all(word in requirement.fitted for word in choices)


def test_strict_says_how_a_host_comes_to_offer_bbr() -> None:
    with pytest.raises(StrictError) as raised:
        planned(facts(choices={BBR: ("reno", "cubic")}), STRICT)
    assert f"limits.{BBR}: " in str(raised.value)
    assert "load its module" in str(raised.value)
    assert "stackctl host apply" in str(raised.value)


@pytest.mark.parametrize("network", ["bridge", "host"])
def test_host_files_bring_the_module_that_the_refusal_points_to(network: str) -> None:
    plan = planned(None, STRICT, network=network)
    assert "tcp_bbr" in {w.where for _, w in plan.written(HOST, Place.MODULES_LOAD)}
    sysctls = {w.where: w.text for _, w in plan.written(HOST, Place.SYSCTL_D)}
    assert sysctls.get(BBR) == "bbr"


TCP_RMEM = "net.ipv4.tcp_rmem"


@pytest.mark.parametrize(
    ("running", "written"),
    [
        ("4096\t131072\t33554432\n", (4096, 131072, 33554432)),
        ("8192 65536 6291456", (8192, 131072, 16777216)),
        ("4096 87380 6291456", (4096, 131072, 16777216)),
        ("", (4096, 131072, 16777216)),
    ],
)
def test_tcp_buffers_are_raised_and_never_lowered(running: str, written: tuple[int, ...]) -> None:
    requirement = of(planned(facts(sysctls={TCP_RMEM: running}), FIT), TCP_RMEM, "telemt-2")
    assert [w.value for w in requirement.written] == [written]
    assert [w.text for w in requirement.written] == [" ".join(map(str, written))]
    assert requirement.wanted == TABLE[TCP_RMEM].wanted


@pytest.mark.parametrize(
    ("key", "running", "least"),
    [
        ("fs.file-max", "9223372036854775807", 2**63 - 1),
        ("net.netfilter.nf_conntrack_max", "4194304", 4194304),
        ("net.core.rmem_max", "33554432", 33554432),
        (TCP_RMEM, "4096 131072 33554432", (4096, 131072, 33554432)),
    ],
)
def test_host_preparation_never_lowers_what_the_host_already_has(
    key: str, running: str, least: object
) -> None:
    plan = planned(facts(sysctls={key: running}), STRICT, network="host")
    (written,) = [w for w in of(plan, key, HOST).written if w.place is Place.SYSCTL_D]
    assert written.value == least
    assert written.text.replace(" ", "").isdigit(), "the kernel reads numbers only"


LISTENERS = pytest.mark.parametrize(
    ("key", "target"), [("haproxy.backlog", HAPROXY), ("telemt.listen_backlog", "telemt-1")]
)


@LISTENERS
def test_listeners_on_the_hosts_network_are_fitted_to_its_somaxconn(key: str, target: str) -> None:
    known = facts(sysctls={"net.core.somaxconn": "4096"})
    requirement = of(planned(known, FIT, network="host"), key, target)
    assert requirement.wanted == 4096
    assert {w.value for w in requirement.written} == {4096}
    assert "net.core.somaxconn is 4096" in requirement.fitted


@LISTENERS
def test_listeners_in_a_namespace_of_their_own_do_not_depend_on_the_host(
    key: str, target: str
) -> None:
    known = facts(sysctls={"net.core.somaxconn": "4096"})
    requirement = of(planned(known, FIT, network="bridge"), key, target)
    assert requirement.wanted == 65535
    assert not requirement.fitted


def test_strict_refuses_a_host_whose_somaxconn_caps_the_listeners() -> None:
    known = facts(sysctls={"net.core.somaxconn": "4096"})
    with pytest.raises(StrictError, match=r"limits\.haproxy\.backlog: .* is 4096") as raised:
        planned(known, STRICT, network="host")
    assert "prepare the host" in raised.value.remedy


@LISTENERS
@pytest.mark.parametrize("running", ["4096", "65535"])
def test_a_somaxconn_chosen_lower_is_no_refusal_on_the_hosts_network(
    key: str, target: str, running: str
) -> None:
    known = facts(sysctls={"net.core.somaxconn": running})
    limits = {"mode": "strict", "net.core.somaxconn": 4096}
    requirement = of(planned(known, limits, network="host"), key, target)
    assert requirement.wanted == 4096
    assert not requirement.fitted


def test_a_prepared_host_is_granted_everything() -> None:
    known = facts({"nofile": 1_048_576}, {BBR: ("bbr", "cubic")}, {"net.core.somaxconn": "65535"})
    assert not any(r.fitted for r in planned(known, STRICT, network="host").requirements)
