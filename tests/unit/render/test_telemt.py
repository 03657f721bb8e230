"""telemt.toml, read back as TOML, says what the plan says."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from functools import cache
from ipaddress import ip_address, ip_network
from typing import Any

import pytest

from stackctl.limits import TABLE, Kind, Place
from stackctl.plan import HostFacts, Plan, make_plan
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
    """As Telemt reads it: the included file stands in the place of its line."""
    users = files_of(plan)["secrets/telemt/users.toml"].text
    return tomllib.loads(text_of(plan, name).removesuffix(INCLUDE) + users)


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
    assert all(path.startswith("/home/nonroot") for path in paths)


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


@pytest.mark.parametrize(
    ("telemt", "mask", "to", "emulates"),
    [
        ({"domain": "site.example.com"}, True, ("site.example.com", 443), True),
        ({"mask": "192.0.2.7:8443"}, True, ("192.0.2.7", 8443), True),
        ({"mask": "[2001:db8::7]:444"}, True, ("2001:db8::7", 444), True),
        ({"mask": "other.example.com"}, True, ("other.example.com", 443), True),
        ({"mask": "off"}, False, None, False),
        ({"datacentre": "lab", "mask": "off"}, False, None, False),
    ],
)
def test_strangers_go_to_the_site_or_are_closed(
    telemt: dict[str, object], mask: bool, to: tuple[str, int] | None, emulates: bool
) -> None:
    made = read(planned(telemt=telemt))["censorship"]
    assert made["mask"] is mask
    assert made["tls_emulation"] is emulates
    assert ((made["mask_host"], made["mask_port"]) if mask else None) == to


@pytest.mark.parametrize("network", ["bridge", "host"])
def test_in_a_lab_every_data_centre_and_the_site_are_the_labs(network: str) -> None:
    plan = planned(network=network, telemt={"datacentre": "lab"})
    assert plan.datacentre
    made = read(plan)
    assert set(made["dc_overrides"].values()) == {f"{plan.datacentre.address}:8888"}
    assert {"1", "2", "3", "4", "5", "203", "-2", "-203"} <= set(made["dc_overrides"])
    assert made["censorship"]["mask_host"] == plan.datacentre.address
    assert "dc_overrides" not in read(planned(network=network))


@pytest.mark.parametrize(
    "modes", [["classic"], ["secure"], ["tls", "secure"], ["tls", "classic", "secure"]]
)
def test_modes_are_the_operators(modes: list[str]) -> None:
    made = read(planned(telemt={"modes": modes}))["general"]["modes"]
    assert [mode for mode, on in made.items() if on] == sorted(modes)
    assert set(made) == {"classic", "secure", "tls"}


@pytest.mark.parametrize(("balance", "each"), [("source", 100), ("leastconn", 34)])
def test_what_replicas_count_alone_is_divided_where_clients_are_spread(
    balance: str, each: int
) -> None:
    plan = planned(
        balance=balance, replicas=3, per_user={"connections": 100, "addresses": 100, "quota_mib": 3}
    )
    access = read(plan)["access"]
    assert access["user_max_tcp_conns_global_each"] == each
    assert access["user_max_unique_ips_global_each"] == each
    quota = (3 if balance == "source" else 1) << 20
    assert access["user_data_quota"] == {"user": quota}


def test_without_bounds_telemt_has_none() -> None:
    assert set(read(planned())["access"]) == {"users"}


def test_relay_buffers_of_all_replicas_take_a_quarter_of_the_memory() -> None:
    # An odd amount: Telemt starts with whole pages alone.
    for memory, each in (((16 << 30) + 12345, 1 << 30), (1 << 20, 16 << 20), (1 << 40, 2 << 30)):
        facts = HostFacts({}, {}, {}, memory_bytes=memory)
        stack = Stack.model_validate({"name": "lab", "connections": 8000, "replicas": 4})
        made = read(make_plan(stack, facts))
        assert made["general"]["direct_relay_buffer_budget_max_bytes"] == each
    assert "direct_relay_buffer_budget_max_bytes" not in read(planned(replicas=4))["general"]


def test_users_read_back() -> None:
    users = {"alice": "0" * 32, "bob-2": "f" * 32, "_": "1" * 32}
    file = render(planned(), Secrets(users))["secrets/telemt/users.toml"]
    found = tomllib.loads(file.text)
    assert found == {"auth_header": f"Bearer {Secrets(users).api}", "access": {"users": users}}


def test_the_api_asks_for_the_secret_of_the_stack() -> None:
    made = read(planned())
    assert made["server"]["api"]["auth_header"] == f"Bearer {Secrets({}).api}"
    assert Secrets({}).api not in text_of(planned(), "telemt-1")
