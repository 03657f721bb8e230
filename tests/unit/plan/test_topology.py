"""What a topology can carry, where it lives, what runs in it, and what its operator is told."""

from __future__ import annotations

from ipaddress import IPv4Network

import pytest

from stackctl.errors import Exit, PlanError
from stackctl.plan import HostFacts, Plan, Sources, make_plan
from stackctl.spec import Stack

NOTHING_TAKEN = HostFacts(ceilings={}, choices={}, sysctls={})


def planned(known: HostFacts | None = None, sources: Sources | None = None, **keys: object) -> Plan:
    stack = Stack.model_validate({"name": "lab", "connections": 8000, **keys})
    return make_plan(stack, known, sources)


def taken(*subnets: str, own: str = "") -> HostFacts:
    return HostFacts(ceilings={}, choices={}, sysctls={}, subnets_taken=subnets, own_subnet=own)


def warned(plan: Plan, start: str) -> str:
    return "\n".join(warning for warning in plan.warnings if warning.startswith(start))


class TestTcpLinks:
    def test_a_quarter_of_a_million_on_one_replica_is_refused_with_both_ways_out(self) -> None:
        with pytest.raises(PlanError) as raised:
            planned(connections=250_000, link="tcp")
        error = raised.value
        assert error.key == "link"
        assert error.exit_code is Exit.USAGE
        for part in ("250000", "1 replica:", "55536", "`link: unix`", "`replicas: 5`"):
            assert part in str(error)

    def test_what_the_refusal_proposes_is_accepted(self) -> None:
        assert planned(connections=250_000, link="unix").sizes.server_maxconn == 250_000
        assert planned(connections=250_000, link="tcp", replicas=5).sizes.server_maxconn > 50_000

    def test_what_the_refusal_proposes_is_the_least_that_is_accepted(self) -> None:
        with pytest.raises(PlanError, match="4 replicas"):
            planned(connections=250_000, link="tcp", replicas=4)

    @pytest.mark.parametrize(("connections", "fits"), [(55_536, True), (55_537, False)])
    def test_the_wall_stands_at_the_last_port(self, connections: int, fits: bool) -> None:
        if fits:
            planned(connections=connections, link="tcp")
        else:
            with pytest.raises(PlanError):
                planned(connections=connections, link="tcp")

    def test_a_narrower_port_range_brings_the_wall_nearer(self) -> None:
        limits = {"mode": "fit", "net.ipv4.ip_local_port_range": [20_000, 24_999]}
        with pytest.raises(PlanError, match="has 5000 ports"):
            planned(connections=8000, link="tcp", limits=limits)
        assert planned(connections=8000, link="unix", limits=limits).sizes.ports_per_link == 5000

    def test_a_link_with_most_of_its_ports_in_use_is_warned_of(self) -> None:
        assert "75 %" in warned(planned(connections=41_652, link="tcp"), "link tcp")
        assert not warned(planned(connections=20_000, link="tcp"), "link tcp")
        assert not warned(planned(connections=41_652, link="unix"), "link tcp")


class TestSubnet:
    def test_is_stable_for_a_name(self) -> None:
        assert planned().subnet == planned(NOTHING_TAKEN).subnet == planned(replicas=8).subnet

    def test_differs_between_names(self) -> None:
        subnets = {planned(name=f"lab-{n}").subnet for n in range(20)}
        assert len(subnets) >= 19

    def test_is_private_and_outside_dockers_own_pools(self) -> None:
        for number in range(50):
            subnet = IPv4Network(planned(name=f"lab-{number}").subnet)
            assert subnet.subnet_of(IPv4Network("10.0.0.0/8"))
            assert subnet.prefixlen == 24

    @pytest.mark.parametrize("prefix", [24, 16, 20])
    def test_avoids_what_is_taken(self, prefix: int) -> None:
        first = IPv4Network(planned().subnet)
        around = first if prefix == 24 else first.supernet(new_prefix=prefix)
        chosen = IPv4Network(planned(taken(str(around), "172.17.0.0/16")).subnet)
        assert not chosen.overlaps(around)

    def test_avoids_a_chain_of_taken_ones(self) -> None:
        used: list[str] = []
        for _ in range(30):
            used.append(planned(taken(*used)).subnet)
        assert len(set(used)) == 30

    def test_with_none_left_asks_for_one(self) -> None:
        with pytest.raises(PlanError, match="no free network") as raised:
            planned(taken("10.0.0.0/8"))
        assert raised.value.key == "subnet"
        assert "subnet:" in raised.value.remedy

    def test_of_a_running_stack_is_kept(self) -> None:
        plan = planned(taken("10.201.0.0/16", own="10.77.8.0/24"))
        assert plan.subnet == "10.77.8.0/24"
        assert plan.gateway == "10.77.8.1"

    def test_given_is_used(self) -> None:
        plan = planned(taken("10.88.0.0/24", own="10.77.8.0/24"), subnet="10.89.0.0/24")
        assert plan.subnet == "10.89.0.0/24"

    def test_given_that_overlaps_is_refused_and_named(self) -> None:
        with pytest.raises(PlanError) as raised:
            planned(taken("172.17.0.0/16", "10.89.0.128/25"), subnet="10.89.0.0/24")
        assert str(raised.value).startswith("subnet: 10.89.0.0/24 overlaps 10.89.0.128/25")
        assert raised.value.remedy

    def test_every_address_is_inside_and_used_once(self) -> None:
        plan = planned(replicas=200)
        addresses = [plan.gateway, plan.haproxy_address, *(r.address for r in plan.replicas)]
        hosts = {str(address) for address in IPv4Network(plan.subnet).hosts()}
        assert len(set(addresses)) == 202
        assert set(addresses) <= hosts

    @pytest.mark.parametrize("count", [1, 8])
    def test_replicas_are_numbered_from_one(self, count: int) -> None:
        names = [replica.name for replica in planned(replicas=count).replicas]
        assert names == [f"telemt-{n}" for n in range(1, count + 1)]

    def test_of_a_stack_on_the_host_is_loopback_and_its_own(self) -> None:
        one, other = planned(name="one", network="host"), planned(name="other", network="host")
        for plan in (one, other):
            subnet = IPv4Network(plan.subnet)
            assert subnet.is_loopback
            assert not subnet.overlaps(IPv4Network("127.0.0.0/16"))
        assert one.subnet != other.subnet

    def test_two_stacks_on_the_host_rarely_meet(self) -> None:
        subnets = {planned(name=f"stack-{n}", network="host").subnet for n in range(60)}
        assert len(subnets) >= 59


class TestImages:
    @pytest.mark.parametrize(
        ("sources", "telemt", "haproxy"),
        [
            (Sources("official", "official"), "ghcr.io/telemt/telemt:3.4.25", "haproxy:3.0"),
            (Sources("double", "build"), "stackctl/telemt-lab:", "stackctl/haproxy:"),
            (Sources("binary", "build"), "stackctl/telemt:lab", "stackctl/haproxy:"),
        ],
    )
    def test_follow_the_sources(self, sources: Sources, telemt: str, haproxy: str) -> None:
        plan = planned(None, sources)
        assert plan.telemt_image.startswith(telemt)
        assert plan.haproxy_image.startswith(haproxy)

    def test_auto_means_official_where_no_engine_was_asked(self) -> None:
        assert planned().sources == Sources("official", "official")

    def test_a_source_that_was_chosen_is_kept(self) -> None:
        plan = planned(telemt={"source": "double"}, haproxy={"source": "build"})
        assert plan.sources == Sources("double", "build")


class TestWarnings:
    def test_the_double_is_said_first_and_loudly(self) -> None:
        plan = planned(None, Sources("double", "build"))
        assert "DOUBLE" in plan.warnings[0]
        assert "labs and tests alone" in plan.warnings[0]

    def test_a_lab_data_centre_is_said(self) -> None:
        lab = planned(telemt={"datacentre": "lab"})
        assert "not Telegram's" in warned(lab, "telemt.datacentre lab")
        assert not warned(planned(), "telemt.datacentre")

    @pytest.mark.parametrize(
        ("balance", "words"), [("source", "up to 4 times"), ("leastconn", "divided by 4")]
    )
    def test_what_bounds_of_a_user_come_to_is_said(self, balance: str, words: str) -> None:
        bounds = {"per_user": {"connections": 100}, "balance": balance}
        assert words in warned(planned(replicas=4, **bounds), "per_user")
        assert not warned(planned(replicas=1, **bounds), "per_user")
        assert not warned(planned(replicas=4, balance=balance), "per_user")

    def test_an_address_without_a_bound_is_said(self) -> None:
        assert "no bound" in warned(planned(), "per_address")
        assert not warned(planned(per_address={"connections": 10}), "per_address")

    def test_auto_that_was_not_resolved_says_what_up_may_do(self) -> None:
        assert "lab double" in warned(planned(), "telemt.source auto")
        assert not warned(planned(telemt={"source": "official"}), "telemt.source auto")

    @pytest.mark.parametrize(("network", "said"), [("bridge", True), ("host", False)])
    def test_the_userland_proxy_is_said_where_there_is_one(self, network: str, said: bool) -> None:
        assert bool(warned(planned(network=network), "network bridge")) == said

    def test_what_is_multiplied_by_replicas_is_said(self) -> None:
        text = warned(planned(replicas=3), "replicas 3")
        assert "each Telemt on its own" in text
        assert str(planned(replicas=3).sizes.server_maxconn) in text
        assert not warned(planned(replicas=1), "replicas")

    @pytest.mark.parametrize("balance", ["source", "leastconn"])
    def test_the_cost_of_the_balance_is_said(self, balance: str) -> None:
        plan = planned(replicas=2, balance=balance)
        assert warned(plan, f"balance {balance}")
        assert len([w for w in plan.warnings if w.startswith("balance")]) == 1

    @pytest.mark.parametrize(("table", "said"), [("8000", True), ("65536", False), ("", False)])
    def test_a_small_conntrack_table_is_said(self, table: str, said: bool) -> None:
        known = HostFacts({}, {}, {"net.netfilter.nf_conntrack_max": table})
        text = warned(planned(known), "capacity")
        assert bool(text) == said
        if said:
            # Two entries a client in the host's own namespace.
            assert "holds 4000 of 8000 connections: net.netfilter.nf_conntrack_max of host" in text
            assert "stackctl host apply" in text

    @pytest.mark.parametrize("tracked", [True, False, None])
    @pytest.mark.parametrize("network", ["bridge", "host"])
    def test_conntrack_is_out_of_the_way_where_nothing_tracks_the_hosts_own_connections(
        self, network: str, tracked: bool | None
    ) -> None:
        small = {"net.netfilter.nf_conntrack_max": "1000"}
        known = HostFacts({}, {}, small, tracked=tracked)
        plan = planned(known, network=network)
        if network == "host" and tracked is False:
            assert "not in the way" in warned(plan, "conntrack")
            assert not warned(plan, "capacity")
        else:
            assert "holds 500 of 8000" in warned(plan, "capacity")
            assert not warned(plan, "conntrack")

    @pytest.mark.parametrize(("gib", "said"), [(1, True), (64, False), (0, False)])
    def test_too_little_memory_is_said(self, gib: int, said: bool) -> None:
        known = HostFacts({}, {}, {}, memory_bytes=gib << 30)
        text = warned(planned(known, connections=250_000), "capacity")
        assert bool(text) == said
        if said:
            # 80 % of it, at 17.7 KB an idle client.
            assert "holds 48530 of 250000 connections: memory of host" in text
            assert "add memory" in text
