"""What may be loaded: this machine's own lab stack, from here, within its own bounds."""

from __future__ import annotations

import pytest

from stackctl.errors import PlanError
from stackctl.plan import Plan, Sources, make_plan
from stackctl.spec import Secrets, Stack
from stackctl.traffic.model import Handshake, Load
from stackctl.traffic.target import check_bounds, check_may_be_loaded, client_secrets, target_of

LAB = {"datacentre": "lab"}


def stack_of(**keys: object) -> Stack:
    base = {"name": "lab", "connections": 8000, "replicas": 2, "telemt": LAB}
    return Stack.model_validate({**base, **keys})


def plan_of(**keys: object) -> Plan:
    return make_plan(stack_of(**keys), None, Sources("double", "build"))


@pytest.mark.parametrize("handshake", ["none", "secure", "tls"])
def test_a_lab_may_be_loaded(handshake: Handshake) -> None:
    check_may_be_loaded(plan_of(), Load(10, handshake=handshake))


@pytest.mark.parametrize(
    ("telemt", "handshake", "message"),
    [
        ({}, "secure", "telemt.datacentre: is telegram"),
        ({}, "none", "telemt.datacentre: is telegram"),
        ({**LAB, "modes": ["tls"]}, "secure", "--handshake: this stack does not allow mode secure"),
        ({**LAB, "mask": "off"}, "none", "with `mask: off` such connections are closed"),
        ({**LAB, "mask": "www.example.org:443"}, "none", "fallback site www.example.org"),
    ],
)
def test_a_load_ends_inside_this_machine(
    telemt: dict[str, object], handshake: Handshake, message: str
) -> None:
    with pytest.raises(PlanError) as refused:
        check_may_be_loaded(plan_of(telemt=telemt), Load(10, handshake=handshake))
    assert message in refused.value.message
    assert refused.value.remedy


@pytest.mark.parametrize(
    ("keys", "networks", "host"),
    [
        ({}, ["10.201.7.0/24"], "10.201.7.1"),
        ({}, [], "127.0.0.1"),
        ({"network": "host"}, [], "127.0.0.1"),
        ({"listen": "127.0.0.5:8443"}, ["10.201.7.0/24"], "127.0.0.5"),
    ],
)
def test_where_clients_come_in(keys: dict[str, object], networks: list[str], host: str) -> None:
    target = target_of(stack_of(**keys), plan_of(**keys), networks)
    assert (target.host, target.port, target.replicas) == (host, 8443, 2)
    assert target.balanced_by_source


def test_ipv6_alone_is_refused() -> None:
    keys = {"listen": "[::1]:8443"}
    with pytest.raises(PlanError, match="not an IPv4 address"):
        target_of(stack_of(**keys), plan_of(**keys), [])


@pytest.mark.parametrize(
    ("keys", "connections", "sources", "refused"),
    [
        ({"per_address": {"connections": 100}}, 100, 1, ""),
        ({"per_address": {"connections": 100}}, 101, 1, "per_address.connections: is 100"),
        ({"per_address": {"connections": 100}}, 200, 2, ""),
        # One address meets one replica.
        ({"per_user": {"connections": 100}}, 201, 1, "per_user.connections: is 100"),
        ({"per_user": {"connections": 100}}, 200, 1, ""),
        ({"per_user": {"connections": 100}}, 400, 64, ""),
    ],
)
def test_the_stacks_own_bounds(
    keys: dict[str, object], connections: int, sources: int, refused: str
) -> None:
    plan = plan_of(**keys)
    if not refused:
        check_bounds(plan, Load(connections), sources, users=2)
        return
    with pytest.raises(PlanError) as error:
        check_bounds(plan, Load(connections), sources, users=2)
    assert refused in error.value.message


def test_users_take_turns() -> None:
    secrets = Secrets({"one": "00" * 16, "two": "11" * 16})
    assert client_secrets(stack_of(), secrets, Load(1, handshake="none")) == ()
    for mode, domain in (("secure", ""), ("tls", "www.example.com")):
        made = client_secrets(stack_of(), secrets, Load(1, handshake=mode))  # type: ignore[arg-type]
        assert [(s.mode, s.key, s.domain) for s in made] == [
            (mode, bytes(16), domain),
            (mode, b"\x11" * 16, domain),
        ]
