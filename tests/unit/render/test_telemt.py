"""telemt.toml, read back as TOML, says what the plan says."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from functools import cache
from ipaddress import ip_address, ip_network
from typing import Any

import pytest

from stackctl.limits import TABLE, Kind, Place
from stackctl.plan import Plan, make_plan
from stackctl.render import File, render
from stackctl.spec import Secrets, Stack

INCLUDE = 'include = "/run/telemt-users/users.toml"\n'
SHAPES = [
    pytest.param(network, link, id=f"{network}-{link}")
    for network in ("bridge", "host")
    for link in ("unix", "tcp")
]
EVERY_SHAPE = pytest.mark.parametrize(("network", "link"), SHAPES)


def planned(**keys: object) -> Plan:
    stack = {"name": "lab", "connections": 8000, "replicas": 2, **keys}
    return make_plan(Stack.model_validate(stack))


@cache
def files_of(plan: Plan) -> Mapping[str, File]:
    return render(plan, Secrets({"user": "0" * 32}))


def text_of(plan: Plan, name: str) -> str:
    return files_of(plan)[f"telemt/{name}/telemt.toml"].text


def read(plan: Plan, name: str = "telemt-1") -> dict[str, Any]:
    return tomllib.loads(text_of(plan, name).removesuffix(INCLUDE))


@EVERY_SHAPE
def test_limits_are_the_plans(network: str, link: str) -> None:
    plan = planned(network=network, link=link)
    for replica in plan.replicas:
        server = read(plan, replica.name)["server"]
        written = [
            pair
            for target in (replica.name, f"haproxy/{replica.name}")
            for pair in plan.written(target, Place.TELEMT_TOML)
        ]
        assert {w.text for _, w in written} == {
            "max_connections",
            "listen_backlog",
            "proxy_protocol",
        }
        for requirement, value in written:
            flag = TABLE[requirement.limit].kind is Kind.FLAG
            assert server[value.text] == value.value
            assert type(server[value.text]) is (bool if flag else int)


@EVERY_SHAPE
def test_users_are_included_last_and_once(network: str, link: str) -> None:
    text = text_of(planned(network=network, link=link), "telemt-2")
    assert text.endswith(INCLUDE)
    assert text.count("include") == 1
    assert "access" not in text


@EVERY_SHAPE
def test_mistakes_in_it_are_errors_and_it_never_rewrites_itself(network: str, link: str) -> None:
    made = read(planned(network=network, link=link))
    assert made["general"]["config_strict"] is True
    assert made["server"]["api"]["read_only"] is True
    assert made["server"]["conntrack_control"]["inline_conntrack_control"] is False
    assert made["general"]["rst_on_close"] == "errors"


@EVERY_SHAPE
def test_failed_handshakes_are_counted_where_verification_looks(network: str, link: str) -> None:
    made = read(planned(network=network, link=link))
    assert made["general"]["beobachten"] is True
    assert made["general"]["beobachten_minutes"] == 10


@EVERY_SHAPE
def test_the_listener_is_the_links(network: str, link: str) -> None:
    plan = planned(network=network, link=link)
    for replica in plan.replicas:
        server = read(plan, replica.name)["server"]
        if link == "unix":
            assert server["listen_unix_sock"] == "/run/telemt/telemt.sock"
            assert server["listen_unix_sock_perm"] == "0660"
            assert server["listen_tcp"] is False
            assert "listeners" not in server
        else:
            inside = replica.address if network == "host" else "0.0.0.0"
            assert server["listeners"] == [{"ip": inside, "port": 9443}]
            assert server["port"] == 9443
            assert "listen_unix_sock" not in server


@EVERY_SHAPE
def test_only_haproxy_may_say_who_the_client_is(network: str, link: str) -> None:
    plan = planned(network=network, link=link)
    trusted = read(plan)["server"]["proxy_protocol_trusted_cidrs"]
    (only,) = (ip_network(cidr) for cidr in trusted)
    if link == "tcp" and network == "bridge":
        assert str(only) == f"{plan.haproxy_address}/32"
    else:
        # Peers on a unix socket count as 127.0.0.1.
        assert only.is_loopback


@EVERY_SHAPE
def test_api_and_metrics_are_read_from_inside_only(network: str, link: str) -> None:
    plan = planned(network=network, link=link)
    seen: set[str] = set()
    for replica in plan.replicas:
        server = read(plan, replica.name)["server"]
        for listen, readers in (
            (server["api"]["listen"], server["api"]["whitelist"]),
            (server["metrics_listen"], server["metrics_whitelist"]),
        ):
            assert any(ip_address(plan.haproxy_address) in ip_network(reader) for reader in readers)
            for reader in map(ip_network, readers):
                assert reader.is_loopback or reader.num_addresses == 1
            if network == "host":
                assert ip_address(listen.partition(":")[0]).is_loopback
                assert listen not in seen
                seen.add(listen)


@EVERY_SHAPE
def test_paths_are_absolute_and_in_the_replicas_own_scratch_space(network: str, link: str) -> None:
    general = read(planned(network=network, link=link))["general"]
    paths = [value for key, value in general.items() if key.endswith("_path")]
    assert len(paths) == 3
    assert all(path.startswith("/var/lib/telemt") for path in paths)


def test_links_name_the_public_address_and_are_not_shown_in_logs() -> None:
    plan = planned(
        listen=8443,
        telemt={"public_host": "proxy.example.com", "public_port": 443, "domain": "example.org"},
    )
    made = read(plan)
    assert made["general"]["links"] == {
        "show": [],
        "public_host": "proxy.example.com",
        "public_port": 443,
    }
    assert made["censorship"]["tls_domain"] == "example.org"


def test_every_replica_has_the_same_domain() -> None:
    plan = planned(replicas=8)
    domains = {read(plan, r.name)["censorship"]["tls_domain"] for r in plan.replicas}
    assert domains == {plan.domain}


@pytest.mark.parametrize("middle_proxy", [True, False])
def test_the_middle_proxy_is_the_operators_choice(middle_proxy: bool) -> None:
    made = read(planned(telemt={"middle_proxy": middle_proxy}))
    assert made["general"]["use_middle_proxy"] is middle_proxy
    assert ("network" in made) is not middle_proxy


@pytest.mark.parametrize("mode", ["fit", "strict"])
@pytest.mark.parametrize(("source", "masks"), [("double", False), ("official", True)])
def test_only_the_double_imitates_no_site(mode: str, source: str, masks: bool) -> None:
    made = read(planned(limits={"mode": mode}, telemt={"source": source}))["censorship"]
    assert (made.get("mask") is False) is not masks
    assert (made.get("tls_emulation") is False) is not masks


def test_users_read_back() -> None:
    users = {"alice": "0" * 32, "bob-2": "f" * 32, "_": "1" * 32}
    file = render(planned(), Secrets(users))["secrets/telemt/users.toml"]
    assert tomllib.loads(file.text) == {"access": {"users": users}}
