"""haproxy.cfg: every line is a directive of the limits table or one that is named here."""

from __future__ import annotations

import re
import tomllib
from collections import Counter
from functools import cache

import pytest

from stackctl.limits import Place
from stackctl.plan import Plan, make_plan
from stackctl.render import render
from stackctl.spec import Secrets, Stack

STRUCTURE = {
    "global": [
        "log stdout format raw local0 notice",
        "stats socket /run/haproxy/admin.sock mode 660 level admin",
        r"hard-stop-after \d+s",
        r"mworker-max-reloads \d+",
        "user haproxy",
        "group haproxy",
    ],
    "defaults": [
        "log global",
        "mode tcp",
        "option clitcpka",
        "option srvtcpka",
        "option splice-auto",
        "option redispatch 1",
        r"retries \d",
    ],
    "frontend clients": [
        r"bind \S+",
        "option tcp-smart-accept",
        "tcp-request inspect-delay 10s",
        r"tcp-request content accept if \{ req\.len gt 0 \}",
        "tcp-request content reject",
        "default_backend telemt",
    ],
    "backend telemt": [
        "balance (source|leastconn)",
        "hash-type consistent",
        "default-server weight 16",
        "option tcp-smart-connect",
        "option httpchk",
        r"http-check send meth GET uri /v1/health/ready ver HTTP/1\.1 hdr Host telemt hdr "
        r'Authorization "%\[str\(authorization\),map\(/run/haproxy-secrets/api\.map\)\]"',
        "http-check expect status 200",
        r"server telemt-\d+ \S+ addr [\d.]+ port 9091",
        r"tcp-request content set-dst-port rand\(\d+\),add\(9443\)",
    ],
    "frontend health": [
        r"bind [\d.]+:8404",
        "mode http",
        "timeout client 10s",
        "monitor-uri /healthz",
        r"monitor fail if \{ nbsrv\(telemt\) lt 1 \}",
        r"http-request use-service prometheus-exporter if \{ path /metrics \}",
        "http-request return status 404",
    ],
}
"""What makes it a proxy; numbers that limit anything come from the limits table."""

SECTION_OF = {
    "global": "global",
    "defaults": "defaults",
    "frontend": "frontend clients",
    "default-server": "backend telemt",
}
NEVER = ("ulimit-n", "fd-hard-limit", "no strict-limits", "chroot", "daemon", "master-worker")

SHAPES = [
    pytest.param(network, link, replicas, id=f"{network}-{link}-{replicas}")
    for network in ("bridge", "host")
    for link in ("unix", "tcp")
    for replicas in (1, 8)
]
EVERY_SHAPE = pytest.mark.parametrize(("network", "link", "replicas"), SHAPES)


def planned(**keys: object) -> Plan:
    return make_plan(Stack.model_validate({"name": "lab", "connections": 8000, **keys}))


@cache
def text_of(plan: Plan) -> str:
    return render(plan, Secrets({"user": "0" * 32}))["haproxy/haproxy.cfg"].text


def sections(plan: Plan) -> dict[str, list[str]]:
    """Section → its lines, without comments."""
    found: dict[str, list[str]] = {}
    current = ""
    for line in text_of(plan).splitlines():
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        if not line.startswith(" "):
            current = line
            assert current not in found, f"section {current} stands twice"
            found[current] = []
        else:
            assert re.fullmatch(r" {4}\S.*\S", line), line
            found[current].append(line.strip())
    return found


def directives(plan: Plan) -> dict[str, list[str]]:
    """Section → the directives that the plan puts there; all links share one default-server."""
    found: dict[str, list[str]] = {section: [] for section in STRUCTURE}
    for target in ("haproxy", "haproxy/telemt-1"):
        for _, written in plan.written(target, Place.HAPROXY_CFG):
            prefix = "default-server " if written.where == "default-server" else ""
            found[SECTION_OF[written.where]].append(prefix + written.text)
    return found


@EVERY_SHAPE
def test_no_line_is_unknown_to_the_plan(network: str, link: str, replicas: int) -> None:
    plan = planned(network=network, link=link, replicas=replicas)
    made, known = sections(plan), directives(plan)
    assert list(made) == list(STRUCTURE)
    for section, lines in made.items():
        structural = [
            line
            for line in lines
            if any(re.fullmatch(pattern, line) for pattern in STRUCTURE[section])
        ]
        assert sorted(lines) == sorted([*structural, *known[section]])
        assert max(Counter(lines).values()) == 1, "a line stands twice"


@EVERY_SHAPE
def test_every_directive_of_the_plan_is_there(network: str, link: str, replicas: int) -> None:
    plan = planned(network=network, link=link, replicas=replicas)
    made, known = sections(plan), directives(plan)
    assert sum(len(lines) for lines in known.values()) >= 18
    for section, lines in known.items():
        assert set(lines) <= set(made[section])


@EVERY_SHAPE
def test_each_directive_stands_below_its_reason(network: str, link: str, replicas: int) -> None:
    plan = planned(network=network, link=link, replicas=replicas)
    lines = text_of(plan).splitlines()
    for known in directives(plan).values():
        for directive in known:
            above = lines[lines.index(f"    {directive}") - 1]
            assert above.lstrip().startswith("#"), directive


@EVERY_SHAPE
def test_all_links_want_the_same_so_that_one_default_server_can_say_it(
    network: str, link: str, replicas: int
) -> None:
    plan = planned(network=network, link=link, replicas=replicas)
    texts = {
        tuple(w.text for _, w in plan.written(f"haproxy/{r.name}", Place.HAPROXY_CFG))
        for r in plan.replicas
    }
    assert len(texts) == 1


@EVERY_SHAPE
def test_each_replica_has_its_server_line(network: str, link: str, replicas: int) -> None:
    plan = planned(network=network, link=link, replicas=replicas)
    lines = [line for line in sections(plan)["backend telemt"] if line.startswith("server ")]
    for replica, line in zip(plan.replicas, lines, strict=True):
        where = (
            f"unix@/run/telemt/{replica.name}/telemt.sock"
            if link == "unix"
            else f"{replica.address}:9443"
        )
        assert line == f"server {replica.name} {where} addr {replica.address} port 9091"


@pytest.mark.parametrize("network", ["bridge", "host"])
def test_a_replica_with_several_ports_is_reached_at_all_of_them(network: str) -> None:
    plan = planned(network=network, link="tcp", link_ports=3)
    backend = sections(plan)["backend telemt"]
    assert "tcp-request content set-dst-port rand(3),add(9443)" in backend
    (replica,) = plan.replicas
    assert f"server telemt-1 {replica.address}:+0 addr {replica.address} port 9091" in backend
    toml = render(plan, Secrets({"user": "0" * 32}))["telemt/telemt-1/telemt.toml"].text
    listeners = tomllib.loads(toml)["server"]["listeners"]
    address = replica.address if network == "host" else "0.0.0.0"
    assert listeners == [{"ip": address, "port": port} for port in (9443, 9444, 9445)]


@pytest.mark.parametrize(
    ("link", "splice", "spliced"),
    [("tcp", "auto", True), ("tcp", "off", False), ("unix", "auto", False)],
)
def test_what_is_spliced_has_its_pipes_said(link: str, splice: str, spliced: bool) -> None:
    made = sections(planned(link=link, splice=splice))
    assert ("option splice-auto" in made["defaults"]) == spliced
    pipes = [line for line in made["global"] if line.startswith("maxpipes")]
    assert pipes == {"unix": []}.get(link, ["maxpipes 2016" if spliced else "maxpipes 0"])


@EVERY_SHAPE
def test_default_server_stands_above_the_servers_it_is_for(
    network: str, link: str, replicas: int
) -> None:
    lines = sections(planned(network=network, link=link, replicas=replicas))["backend telemt"]
    kinds = [line.split()[0] for line in lines if line.split()[0] in {"default-server", "server"}]
    assert kinds == sorted(kinds)


@EVERY_SHAPE
def test_what_is_known_to_harm_is_never_written(network: str, link: str, replicas: int) -> None:
    made = sections(planned(network=network, link=link, replicas=replicas))
    for line in (line for lines in made.values() for line in lines):
        assert not line.startswith(NEVER)


@pytest.mark.parametrize(("link", "probed"), [("tcp", True), ("unix", False)])
def test_replicas_are_probed_where_the_link_is_tcp(link: str, probed: bool) -> None:
    made = sections(planned(link=link))
    assert "option clitcpka" in made["defaults"]
    assert ("option srvtcpka" in made["defaults"]) == probed
    assert any(line.startswith("srvtcpka-") for line in made["defaults"]) == probed
    assert ("option tcp-smart-connect" in made["backend telemt"]) == probed


@pytest.mark.parametrize(
    ("balance", "lines"),
    [
        ("source", ["balance source", "hash-type consistent", "default-server weight 16"]),
        ("leastconn", ["balance leastconn"]),
    ],
)
def test_balance_is_the_operators(balance: str, lines: list[str]) -> None:
    made = sections(planned(balance=balance))["backend telemt"]
    watched = ("balance", "hash-type", "default-server weight")
    assert [line for line in made if line.startswith(watched)] == lines


@pytest.mark.parametrize(
    ("network", "listen", "bind"),
    [
        ("bridge", 8443, "bind :8443"),
        ("bridge", "127.0.0.1:8443", "bind :8443"),
        ("host", 8443, "bind *:8443"),
        ("host", "192.0.2.1:8443", "bind 192.0.2.1:8443"),
        ("host", "[2001:db8::1]:8443", "bind [2001:db8::1]:8443"),
    ],
)
def test_clients_are_met_where_the_stack_says(network: str, listen: object, bind: str) -> None:
    assert sections(planned(network=network, listen=listen))["frontend clients"][0] == bind


@pytest.mark.parametrize(("network", "inside"), [("bridge", "10."), ("host", "127.")])
def test_health_and_metrics_are_met_inside_the_stack_only(network: str, inside: str) -> None:
    plan = planned(network=network)
    (bind,) = [line for line in sections(plan)["frontend health"] if line.startswith("bind")]
    assert bind == f"bind {plan.haproxy_address}:8404"
    assert plan.haproxy_address.startswith(inside)


@pytest.mark.parametrize(("port", "drops"), [(443, True), (8443, False)])
def test_root_is_given_up_where_a_low_port_needed_it(port: int, drops: bool) -> None:
    lines = sections(planned(network="host", listen=port))["global"]
    assert ({"user haproxy", "group haproxy"} <= set(lines)) == drops


def test_maxconn_of_a_server_is_below_telemts_own() -> None:
    plan = planned(connections=30_000, replicas=4)
    (line,) = [
        text
        for text in sections(plan)["backend telemt"]
        if text.startswith("default-server maxconn")
    ]
    assert int(line.split()[-1]) == plan.sizes.server_maxconn < plan.sizes.telemt_max_connections


def test_what_one_address_may_do_is_bounded_before_it_costs_a_session() -> None:
    lines = sections(planned(per_address={"connections": 100, "rate": 500}))["frontend clients"]
    table, track, held, rate = (line for line in lines if "sc0" in line or "stick" in line)
    assert table == "stick-table type ipv6 size 16000 expire 30s store conn_cur,conn_rate(10s)"
    assert track == "tcp-request connection track-sc0 src"
    assert held == "tcp-request connection reject if { sc0_conn_cur gt 100 }"
    assert rate == "tcp-request connection reject if { sc0_conn_rate gt 500 }"
    assert lines.index(rate) < lines.index("tcp-request inspect-delay 10s")


@pytest.mark.parametrize("key", ["connections", "rate"])
def test_a_bound_left_out_is_none(key: str) -> None:
    lines = sections(planned(per_address={key: 100}))["frontend clients"]
    assert sum("connection reject" in line for line in lines) == 1
    lines = sections(planned())["frontend clients"]
    assert not any("sc0" in line or "stick-table" in line for line in lines)


@pytest.mark.parametrize(
    ("network", "bind"), [("bridge", "bind :8405"), ("host", "bind 127.0.0.1:9102")]
)
def test_metrics_of_everything_are_handed_out_where_asked_for(network: str, bind: str) -> None:
    plan = planned(network=network, metrics=9102, replicas=2)
    made = sections(plan)
    assert made["frontend metrics"][0] == bind
    assert "use_backend metrics-telemt-2 if { path /telemt-2/metrics }" in made["frontend metrics"]
    for replica in plan.replicas:
        server = f"server scrape {replica.address}:9090"
        assert server in made[f"backend metrics-{replica.name}"]
    assert "frontend metrics" not in sections(planned(network=network))
