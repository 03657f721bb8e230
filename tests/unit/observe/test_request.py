"""What the collector is asked."""

from __future__ import annotations

import json

import pytest

from stackctl.collector.request import ClientsAsked, Request
from stackctl.collector.wire import decode, encode
from stackctl.engine import Container
from stackctl.limits import TABLE, Reader, Role
from stackctl.observe.request import Choice, clients_of, handshakes_of, request_of, sysctl_keys
from stackctl.spec import Stack


def stack(**keys: object) -> Stack:
    return Stack.model_validate({"name": "lab", "connections": 250_000, "listen": 8443, **keys})


def container(target: str, pid: int) -> Container:
    return Container("a" * 64, f"stackctl-lab-{target}", target, pid, "running", "", {}, "")


RUNNING = (container("haproxy", 10), container("telemt-1", 11), container("datacentre", 12))


def test_without_a_stack_the_host_is_asked_for_every_key() -> None:
    request = request_of(stack(), (), clients=ClientsAsked(inside=("127.0.0.1", 8443)))
    every = {
        read.arg for limit in TABLE.values() for read in limit.reads if read.reader is Reader.SYSCTL
    }
    assert set(request.sysctls) == every
    assert (request.haproxy, request.replicas) == (None, ())
    # There is nobody to connect to.
    assert request.clients is None


def test_targets_are_asked_for_their_roles_keys() -> None:
    request = request_of(stack(), RUNNING, counters=True)
    assert request.connections == 250_000
    assert request.counters
    # Fills of `diagnose` whose limits are no rows of the table.
    assert set(request.sysctls) >= {"net.ipv4.tcp_max_orphans", "net.ipv4.tcp_mem"}
    assert request.haproxy
    (first,) = request.replicas
    haproxy = request.haproxy
    assert (haproxy.name, haproxy.port, haproxy.backend) == ("haproxy", 8443, "telemt")
    assert haproxy.sysctls == sysctl_keys(Role.HAPROXY)
    assert first.sysctls == sysctl_keys(Role.TELEMT)
    assert "net.ipv4.tcp_congestion_control" in haproxy.sysctls
    assert "fs.nr_open" not in first.sysctls
    assert (first.socket, first.address) == ("/run/telemt/telemt.sock", None)
    assert (first.api, first.metrics) == (("127.0.0.1", 9091), ("127.0.0.1", 9090))


@pytest.mark.parametrize(("network", "address"), [("bridge", "0.0.0.0"), ("host", "127.")])
def test_a_tcp_link_is_asked_for_by_its_address(network: str, address: str) -> None:
    request = request_of(stack(link="tcp", network=network, link_ports=3), RUNNING)
    (first,) = request.replicas
    assert first.address
    assert first.address[0].startswith(address)
    assert (first.address[1], first.ports, first.socket) == (9443, 3, "")


def test_clients_come_in_where_clients_of_the_stack_do() -> None:
    bridged = clients_of(stack(), ("10.1.2.0/24",))
    assert bridged == ClientsAsked(published=("10.1.2.1", 8443), inside=("127.0.0.1", 8443))
    there = clients_of(stack(network="host"), ())
    assert there == ClientsAsked(published=("127.0.0.1", 8443), inside=("127.0.0.1", 8443))


def test_handshakes_go_over_the_links_of_what_runs() -> None:
    choice = Choice({"user1": "0" * 32}, published=False)
    asked = handshakes_of(stack(), choice, ("10.1.2.1", 8443), RUNNING, ("10.1.2.0/24",))
    assert asked.published is None
    assert {name: way.socket for name, way in asked.ways.items()} == {
        "telemt-1": "/run/telemt/telemt-1/telemt.sock"
    }
    tcp = handshakes_of(stack(link="tcp"), choice, None, RUNNING, ("10.1.2.0/24",))
    assert tcp.ways["telemt-1"].address == ("10.1.2.10", 9443)


def test_what_is_sent_is_what_was_asked() -> None:
    request = request_of(stack(), RUNNING, clients_of(stack(), ()))
    assert decode(Request, json.loads(json.dumps(encode(request)))) == request
