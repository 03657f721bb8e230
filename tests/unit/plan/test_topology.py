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


def on_one_port(connections: int, **keys: object) -> Plan:
    return planned(connections=connections, link="tcp", link_ports=1, **keys)


class TestTcpLinks:
    """One source address has 55,536 ports towards one port; 45 % of them are 24,991."""

    def test_more_than_the_share_of_one_port_is_refused_with_every_way_out(self) -> None:
        with pytest.raises(PlanError) as raised:
            on_one_port(41_652)
        error = raised.value
        assert error.key == "link"
        assert error.exit_code is Exit.USAGE
        for part in ("41652", "1 replica ", "75 % of the 55536", "above 45 %", "`link: unix`",
                     "`replicas: 2`", "`link_ports: 2`", "`port_share: 75`"):  # fmt: skip
            assert part in str(error)

    def test_what_the_refusal_proposes_is_accepted(self) -> None:
        assert planned(connections=41_652, link="unix").sizes.server_maxconn == 41_652
        on_one_port(41_652, replicas=2)
        on_one_port(41_652, port_share=75)
        assert planned(connections=41_652, link="tcp", link_ports=2).sizes.ports_per_link == 111_072

    def test_more_connections_than_ports_cannot_be_allowed(self) -> None:
        with pytest.raises(PlanError) as raised:
            on_one_port(250_000, port_share=100)
        assert "port_share:" not in str(raised.value)
        assert "`replicas: 5`" in str(raised.value)
        assert "`link_ports: 5`" in str(raised.value)

    @pytest.mark.parametrize(
        ("share", "connections", "fits"),
        [(45, 24_991, True), (45, 24_992, False), (100, 55_536, True), (100, 55_537, False)],
    )
    def test_the_wall_stands_at_the_last_port(
        self, share: int, connections: int, fits: bool
    ) -> None:
        if fits:
            on_one_port(connections, port_share=share)
        else:
            with pytest.raises(PlanError):
                on_one_port(connections, port_share=share)

    def test_a_narrower_port_range_brings_the_wall_nearer(self) -> None:
        limits = {"mode": "fit", "net.ipv4.ip_local_port_range": [20_000, 24_999]}
        with pytest.raises(PlanError, match="160 % of the 5000 source ports"):
            on_one_port(8000, limits=limits)
        # 2,250 of each: four ports.
        assert planned(connections=8000, link="tcp", limits=limits).sizes.link_ports == 4

    def test_by_itself_a_replica_gets_as_many_ports_as_it_takes(self) -> None:
        assert planned(connections=20_000, link="tcp").sizes.link_ports == 1
        assert planned(connections=250_000, link="tcp").sizes.link_ports == 11
        # Enough for what a replica is given when another is lost: 1.25 * 250,000 / 7.
        assert planned(connections=250_000, link="tcp", replicas=8).sizes.link_ports == 2
        assert planned(connections=250_000, link="unix").sizes.link_ports == 1

    def test_the_most_ports_there_are_end_it(self) -> None:
        with pytest.raises(PlanError) as raised:
            planned(connections=2_000_000, link="tcp")
        assert "link_ports" not in str(raised.value)
        assert "`port_share: 57`" in str(raised.value)

    def test_a_share_that_was_allowed_is_warned_of(self) -> None:
        assert "75 %" in warned(on_one_port(41_652, port_share=80), "link tcp")
        assert not warned(planned(connections=41_652, link="tcp"), "link tcp")
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
        assert "each Telemt keeps" in text
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
