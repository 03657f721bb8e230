"""The arithmetic of capacity: properties over its whole domain, and figures that were measured."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stackctl.plan.sizes import (
    CONNTRACK_ENTRIES,
    Sizes,
    fair_share,
    haproxy_descriptors,
    link_ports_for,
    pipes_for,
    replica_share,
    server_maxconn_within,
    size,
    telemt_cap,
    telemt_descriptors,
    threads_for,
    usable_ports,
)

PROPERTY = settings(max_examples=80)

CONNECTIONS = st.integers(1, 10_000_000)
REPLICAS = st.integers(1, 200)
NETWORKS = st.sampled_from(["bridge", "host"])
LINKS = st.sampled_from(["unix", "tcp"])
PORTS = (10000, 65535)
AMPLE = 2**31 - 1
"""More descriptors than any of these numbers needs."""


def sizes(
    connections: int,
    replicas: int = 1,
    network: str = "bridge",
    link: str = "unix",
    threads: int = 0,
    nofile: int = AMPLE,
) -> Sizes:
    return size(
        connections=connections,
        replicas=replicas,
        threads=threads,
        network=network,
        link=link,
        port_range=PORTS,
        nofile=nofile,
    )


@PROPERTY
@given(CONNECTIONS, REPLICAS, NETWORKS)
def test_all_replicas_together_take_every_client(c: int, r: int, network: str) -> None:
    assert sizes(c, r, network).server_maxconn * r >= c


@PROPERTY
@given(CONNECTIONS, st.integers(2, 200), NETWORKS)
def test_one_replica_may_be_lost(c: int, r: int, network: str) -> None:
    assert sizes(c, r, network).server_maxconn * (r - 1) >= c


@PROPERTY
@given(CONNECTIONS, REPLICAS, LINKS)
def test_no_replica_is_given_more_than_there_is(c: int, r: int, link: str) -> None:
    assert 1 <= sizes(c, r, link=link).server_maxconn <= c


@PROPERTY
@given(CONNECTIONS, REPLICAS)
def test_tcp_link_is_never_given_more_than_its_ports(c: int, r: int) -> None:
    made = sizes(c, r, link="tcp")
    assert made.ports_per_link == 55_536
    assert made.server_maxconn <= made.ports_per_link


@PROPERTY
@given(CONNECTIONS, REPLICAS, LINKS)
def test_telemt_is_never_the_one_that_refuses(c: int, r: int, link: str) -> None:
    made = sizes(c, r, link=link)
    assert made.telemt_max_connections > made.server_maxconn


@PROPERTY
@given(CONNECTIONS, REPLICAS)
def test_haproxy_has_room_for_every_client_and_its_own_connections(c: int, r: int) -> None:
    made = sizes(c, r)
    assert made.frontend_maxconn == c
    assert made.global_maxconn > made.frontend_maxconn
    assert made.haproxy_descriptors > 2 * made.global_maxconn
    assert made.telemt_descriptors > 2 * made.telemt_max_connections


@PROPERTY
@given(CONNECTIONS, REPLICAS, st.integers(2_200, 1_100_000))
def test_a_replica_fits_the_descriptors_it_is_given(c: int, r: int, nofile: int) -> None:
    assert sizes(c, r, nofile=nofile).telemt_descriptors <= nofile


@PROPERTY
@given(st.integers(2_200, 1_100_000))
def test_descriptors_are_used_up_to_the_last_connection(nofile: int) -> None:
    most = server_maxconn_within(nofile)
    assert telemt_descriptors(telemt_cap(most)) <= nofile
    assert telemt_descriptors(telemt_cap(most + 1)) > nofile


@PROPERTY
@given(CONNECTIONS, st.integers(0, 1_000_000), REPLICAS, NETWORKS, LINKS)
def test_more_connections_never_need_less(
    c: int, more: int, r: int, network: str, link: str
) -> None:
    few, many = sizes(c, r, network, link), sizes(c + more, r, network, link)
    for name in Sizes.__slots__:
        assert getattr(few, name) <= getattr(many, name), name


@PROPERTY
@given(CONNECTIONS, st.integers(1, 199))
def test_more_replicas_never_load_one_of_them_more(c: int, r: int) -> None:
    assert sizes(c, r + 1).server_maxconn <= sizes(c, r).server_maxconn
    assert fair_share(c, r + 1) <= fair_share(c, r)


@PROPERTY
@given(CONNECTIONS, REPLICAS)
def test_a_share_is_never_below_the_fair_one(c: int, r: int) -> None:
    assert replica_share(c, r) >= fair_share(c, r)
    assert fair_share(c, r) * r >= c > (fair_share(c, r) - 1) * r


@PROPERTY
@given(CONNECTIONS, REPLICAS)
def test_a_unix_link_costs_no_more_than_a_tcp_link(c: int, r: int) -> None:
    for network in ("bridge", "host"):
        unix, tcp = sizes(c, r, network, "unix"), sizes(c, r, network, "tcp")
        assert unix.conntrack_entries < tcp.conntrack_entries
        assert unix.kernel_bytes < tcp.kernel_bytes
        assert unix.conntrack_entries >= c


@PROPERTY
@given(st.integers(1, 10_000_000))
def test_threads_follow_connections_within_bounds(c: int) -> None:
    assert 2 <= threads_for(c) <= 64
    assert threads_for(c) == 64 or threads_for(c) * 50_000 >= c


@pytest.mark.parametrize(
    ("connections", "threads"),
    [(1, 2), (100_000, 2), (100_001, 3), (250_000, 5), (3_200_000, 64), (10_000_000, 64)],
)
def test_threads_for(connections: int, threads: int) -> None:
    assert threads_for(connections) == threads


def test_threads_given_are_threads_used() -> None:
    assert sizes(8000, threads=7).threads == 7


@pytest.mark.parametrize("threads", [2, 4, 64])
def test_descriptor_formula_is_never_below_haproxys_own_and_close_above_it(threads: int) -> None:
    # A bare HAProxy with 2 threads takes 28 of its own: maxconn 9986 exactly fills 20000.
    bare = 2 * 9986 + 28 + 3 * (threads - 2)
    assert bare <= haproxy_descriptors(9986, threads, 0) <= bare + 20


def test_a_maxconn_haproxy_would_not_start_with_is_seen_to_be_too_much() -> None:
    assert haproxy_descriptors(10_000, 2, 1) > 20_000
    assert haproxy_descriptors(9_970, 2, 1) <= 20_000


def test_each_replica_costs_haproxy_one_descriptor_for_its_check() -> None:
    assert haproxy_descriptors(8064, 2, 9) - haproxy_descriptors(8064, 2, 1) == 8


def test_a_million_connections_need_more_than_the_kernels_default_ceiling() -> None:
    assert sizes(1_000_000).haproxy_descriptors > 2_000_000


def test_the_guides_quarter_of_a_million_fits_its_descriptors() -> None:
    made = sizes(250_000, nofile=1_048_576)
    assert made.server_maxconn == 250_000
    assert max(made.haproxy_descriptors, made.telemt_descriptors) < 1_048_576


def test_one_port_range_is_the_known_wall_of_a_tcp_link() -> None:
    assert usable_ports(10000, 65535) == 55_536


def test_memory_is_as_measured() -> None:
    made = sizes(1_000_000)
    assert 3.4e9 <= made.haproxy_bytes <= 4.0e9
    assert 13e9 <= made.kernel_bytes <= 22e9


def test_conntrack_covers_every_network_and_link() -> None:
    assert set(CONNTRACK_ENTRIES) == {(n, k) for n in ("bridge", "host") for k in ("unix", "tcp")}


def test_starved_of_descriptors_a_replica_is_still_a_number() -> None:
    made = sizes(8000, nofile=100)
    assert made.server_maxconn == 1
    assert made.telemt_descriptors > 100


@PROPERTY
@given(share=st.integers(1, 10_000_000), pair=st.integers(1, 64_512), percent=st.integers(1, 100))
def test_link_ports_are_the_fewest_that_stay_within_the_share(
    share: int, pair: int, percent: int
) -> None:
    ports = link_ports_for(share, pair, percent)
    assert share * 100 <= ports * pair * percent
    assert ports == 1 or share * 100 > (ports - 1) * pair * percent


@PROPERTY
@given(maxconn=st.integers(1, 10_000_000), threads=st.integers(1, 64), replicas=REPLICAS)
def test_pipes_take_two_descriptors_each_and_are_a_quarter_of_the_connections(
    maxconn: int, threads: int, replicas: int
) -> None:
    pipes = pipes_for(maxconn, "auto")
    assert pipes_for(maxconn, "off") == 0
    assert maxconn <= 4 * pipes < maxconn + 4
    without = haproxy_descriptors(maxconn, threads, replicas)
    assert haproxy_descriptors(maxconn, threads, replicas, pipes) == without + 2 * pipes


def test_a_unix_link_has_no_pipes() -> None:
    spliced = {
        link: size(connections=8000, replicas=2, threads=0, network="bridge", link=link,
                   port_range=PORTS, nofile=AMPLE, splice="auto")
        for link in ("unix", "tcp")
    }  # fmt: skip
    assert (spliced["unix"].pipes, spliced["tcp"].pipes) == (0, 2016)
