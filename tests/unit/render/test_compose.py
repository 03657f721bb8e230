"""compose.yaml, read back as YAML, says what the plan says and nothing less."""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import cache
from typing import Any

import pytest
import yaml

from stackctl.limits import Place
from stackctl.plan import HostFacts, Plan, Sources, make_plan
from stackctl.render import File, render
from stackctl.render.compose import compose_yaml
from stackctl.spec import Secrets, Stack

SECRET = "0123456789abcdef0123456789abcdef"
SHAPES = [
    pytest.param(network, link, replicas, id=f"{network}-{link}-{replicas}")
    for network in ("bridge", "host")
    for link in ("unix", "tcp")
    for replicas in (1, 8)
]
EVERY_SHAPE = pytest.mark.parametrize(("network", "link", "replicas"), SHAPES)


def planned(facts: HostFacts | None = None, sources: Sources | None = None, **keys: object) -> Plan:
    stack = Stack.model_validate({"name": "lab", "connections": 8000, **keys})
    return make_plan(stack, facts, sources)


@cache
def files_of(plan: Plan) -> Mapping[str, File]:
    return render(plan, Secrets({"alice": SECRET}))


def text_of(plan: Plan) -> str:
    return files_of(plan)["compose.yaml"].text


@cache
def parsed(text: str) -> dict[str, Any]:
    # The same YAML as safe_load, by libyaml where there is one: seconds over all shapes.
    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    document: dict[str, Any] = yaml.load(text, Loader=loader)
    return document


def read(plan: Plan) -> dict[str, Any]:
    return parsed(text_of(plan))


def services(plan: Plan) -> dict[str, dict[str, Any]]:
    found: dict[str, dict[str, Any]] = read(plan)["services"]
    return found


def prose(text: str) -> str:
    """The text with each comment on one line."""
    return re.sub(r"\n +#   (?=\S)", " ", text)


def seconds(text: str) -> int:
    found = re.fullmatch(r"(\d+)s", text)
    assert found, text
    return int(found[1])


@EVERY_SHAPE
def test_there_is_one_service_a_process(network: str, link: str, replicas: int) -> None:
    plan = planned(network=network, link=link, replicas=replicas)
    names = ["haproxy", *(f"telemt-{n}" for n in range(1, replicas + 1))]
    assert list(services(plan)) == names
    assert read(plan)["name"] == "stackctl-lab"
    for name, service in services(plan).items():
        assert service["container_name"] == f"stackctl-lab-{name}"
        assert service["image"] == (plan.haproxy_image if name == "haproxy" else plan.telemt_image)


@EVERY_SHAPE
def test_limits_of_each_service_are_the_plans(network: str, link: str, replicas: int) -> None:
    plan = planned(network=network, link=link, replicas=replicas)
    for name, service in services(plan).items():
        ulimits = {
            written.where: dict(zip(("soft", "hard"), written.value, strict=True))
            for _, written in plan.written(name, Place.COMPOSE_ULIMIT)
            if isinstance(written.value, tuple)
        }
        assert service["ulimits"] == ulimits
        assert set(ulimits) == {"nofile", "nproc"}
        for pair in service["ulimits"].values():
            assert all(type(number) is int for number in pair.values())
        ((_, pids),) = plan.written(name, Place.COMPOSE_PIDS)
        assert service["pids_limit"] == pids.value
        assert type(service["pids_limit"]) is int


@EVERY_SHAPE
def test_sysctls_are_text_and_stand_only_where_the_engine_takes_them(
    network: str, link: str, replicas: int
) -> None:
    plan = planned(network=network, link=link, replicas=replicas)
    for name, service in services(plan).items():
        if network == "host":
            assert "sysctls" not in service
            continue
        wanted = {w.where: w.text for _, w in plan.written(name, Place.COMPOSE_SYSCTL)}
        assert service["sysctls"] == wanted
        assert all(type(value) is str for value in service["sysctls"].values())
        assert len(wanted) >= 14
        for key in service["sysctls"]:
            assert key.startswith("net."), f"{key} belongs to no namespace of a container"


@EVERY_SHAPE
def test_every_service_is_locked_down(network: str, link: str, replicas: int) -> None:
    for service in services(planned(network=network, link=link, replicas=replicas)).values():
        assert service["cap_drop"] == ["ALL"]
        assert service["read_only"] is True
        assert service["security_opt"] == ["no-new-privileges:true"]
        assert "privileged" not in service
        assert "cap_add" not in service
        assert "environment" not in service
        assert re.fullmatch(r"[1-9]\d*:[1-9]\d*", service["user"])
        assert service["restart"] == "unless-stopped"


@EVERY_SHAPE
def test_logs_are_rotated_and_scratch_space_is_bounded(
    network: str, link: str, replicas: int
) -> None:
    made = services(planned(network=network, link=link, replicas=replicas))
    assert made["haproxy"]["tmpfs"]
    for service in made.values():
        options = service["logging"]["options"]
        assert re.fullmatch(r"\d+m", options["max-size"])
        assert type(options["max-file"]) is str
        assert int(options["max-file"]) >= 2
        assert all(re.search(r":size=\d+m,", mount) for mount in service.get("tmpfs", ()))


@EVERY_SHAPE
def test_state_is_on_a_volume_of_each_replicas_own(network: str, link: str, replicas: int) -> None:
    document = read(planned(network=network, link=link, replicas=replicas))
    for number in range(1, replicas + 1):
        service = document["services"][f"telemt-{number}"]
        assert f"telemt-{number}-state:/home/nonroot" in service["volumes"]
        # Not in memory, and known to `down` as what it keeps.
        volume = document["volumes"][f"telemt-{number}-state"]
        assert "driver_opts" not in volume
        assert volume["labels"]["io.stackctl.keep"] == "state"


@EVERY_SHAPE
def test_a_lab_has_its_data_centre_and_replicas_wait_for_it(
    network: str, link: str, replicas: int
) -> None:
    shape = {"network": network, "link": link, "replicas": replicas}
    plan = planned(**shape, telemt={"datacentre": "lab"})
    made = services(plan)
    assert plan.datacentre
    assert f"--domain={plan.domain}" in made["datacentre"]["command"]
    assert made["datacentre"]["labels"]["io.stackctl.target"] == "datacentre"
    for number in range(1, replicas + 1):
        wait = made[f"telemt-{number}"]["depends_on"]
        assert wait == {"datacentre": {"condition": "service_healthy"}}
    if network == "host":
        bound = [word for word in made["datacentre"]["command"] if "=" in word][:3]
        assert all(f"={plan.datacentre.address}:" in word for word in bound)
    assert "datacentre" not in services(planned(**shape))


def test_metrics_are_published_on_loopback_alone() -> None:
    ports = services(planned(metrics=9102, listen=8443))["haproxy"]["ports"]
    assert ports == ["8443:8443/tcp", "127.0.0.1:9102:8405/tcp"]


@EVERY_SHAPE
def test_only_the_client_port_is_published(network: str, link: str, replicas: int) -> None:
    made = services(planned(network=network, link=link, replicas=replicas, listen=8443))
    for name, service in made.items():
        if network == "host":
            assert service["network_mode"] == "host"
            assert "ports" not in service
            assert "networks" not in service
        else:
            expected = ["8443:8443/tcp"] if name == "haproxy" else None
            assert service.get("ports") == expected
        assert "expose" not in service


@pytest.mark.parametrize(
    ("listen", "published"),
    [
        (443, "443:443/tcp"),
        ("127.0.0.1:8443", "127.0.0.1:8443:8443/tcp"),
        ("[2001:db8::1]:8443", "[2001:db8::1]:8443:8443/tcp"),
    ],
)
def test_an_address_is_published_as_compose_spells_it(listen: object, published: str) -> None:
    assert services(planned(listen=listen))["haproxy"]["ports"] == [published]


@pytest.mark.parametrize(("connections", "interval"), [(20_000, 2), (20_001, 10)])
def test_a_large_stack_is_asked_for_its_health_more_rarely(connections: int, interval: int) -> None:
    made = services(planned(connections=connections))
    assert {seconds(s["healthcheck"]["interval"]) for s in made.values()} == {interval}


@EVERY_SHAPE
def test_health_orders_the_start(network: str, link: str, replicas: int) -> None:
    made = services(planned(network=network, link=link, replicas=replicas))
    for service in made.values():
        check = service["healthcheck"]
        assert check["test"][0] == "CMD"
        assert seconds(check["timeout"]) > 0
        assert check["retries"] >= 2
    for name, service in made.items():
        assert "--mode" not in service["healthcheck"]["test"] or name != "haproxy"
    replica = made["telemt-1"]["healthcheck"]["test"]
    assert replica[1:3] == ["/app/telemt", "healthcheck"]
    assert replica[-2:] == ["--mode", "ready"]
    assert made["haproxy"]["depends_on"] == {
        f"telemt-{n}": {"condition": "service_healthy"} for n in range(1, replicas + 1)
    }


@EVERY_SHAPE
def test_health_of_haproxy_is_asked_where_it_listens(
    network: str, link: str, replicas: int
) -> None:
    plan = planned(network=network, link=link, replicas=replicas)
    script = services(plan)["haproxy"]["healthcheck"]["test"][-1]
    assert f"/dev/tcp/{plan.haproxy_address}/8404" in script
    assert "\\r\\n\\r\\n" in script
    # Compose reads a single dollar as a variable of its own.
    assert not re.search(r"(?<!\$)\$(?!\$)", script.replace("$$", ""))


@EVERY_SHAPE
def test_stopping_is_given_more_time_than_it_takes(network: str, link: str, replicas: int) -> None:
    plan = planned(network=network, link=link, replicas=replicas)
    config = files_of(plan)["haproxy/haproxy.cfg"].text
    hard_stop = re.search(r"^\s*hard-stop-after (\d+)s$", config, re.MULTILINE)
    assert hard_stop
    for name, service in services(plan).items():
        # Telemt takes up to 12 s to cancel its sessions.
        least = int(hard_stop[1]) if name == "haproxy" else 12
        assert seconds(service["stop_grace_period"]) > least


@EVERY_SHAPE
def test_what_is_made_says_whose_it_is(network: str, link: str, replicas: int) -> None:
    plan = planned(None, Sources("double", "build"), network=network, link=link, replicas=replicas)
    document = read(plan)
    for name, service in document["services"].items():
        labels = service["labels"]
        assert labels["io.stackctl.stack"] == "lab"
        assert labels["io.stackctl.target"] == name
        assert labels["io.stackctl.telemt"] == "double"
        assert labels["io.stackctl.haproxy"] == "build"
        assert labels["io.stackctl.version"]
    volumes, networks = document.get("volumes", {}), document.get("networks", {})
    # Each replica's state, and its link.
    assert len(volumes) == replicas * (2 if link == "unix" else 1)
    assert len(networks) == (1 if network == "bridge" else 0)
    for made in (*volumes.values(), *networks.values()):
        assert made["labels"]["io.stackctl.stack"] == "lab"


@EVERY_SHAPE
def test_addresses_are_the_plans(network: str, link: str, replicas: int) -> None:
    plan = planned(network=network, link=link, replicas=replicas)
    document = read(plan)
    if network == "host":
        assert "networks" not in document
        return
    (config,) = document["networks"]["stack"]["ipam"]["config"]
    assert config == {"subnet": plan.subnet, "gateway": plan.gateway}
    addresses = {
        name: service["networks"]["stack"]["ipv4_address"]
        for name, service in document["services"].items()
    }
    assert addresses == {"haproxy": plan.haproxy_address} | {
        replica.name: replica.address for replica in plan.replicas
    }


@EVERY_SHAPE
def test_config_is_mounted_read_only_and_as_folders(network: str, link: str, replicas: int) -> None:
    plan = planned(network=network, link=link, replicas=replicas)
    files = files_of(plan)
    for name, service in services(plan).items():
        binds = [mount.split(":") for mount in service["volumes"] if mount.startswith("./")]
        assert binds
        for source, _, mode in binds:
            assert mode == "ro"
            folder = source.removeprefix("./")
            assert folder not in files
            assert any(path.startswith(f"{folder}/") for path in files), folder
        secrets = {source for source, _, _ in binds if "secrets" in source}
        assert secrets == {f"./secrets/{'haproxy' if name == 'haproxy' else 'telemt'}"}
        assert [source for source, _, _ in binds if source in {".", "./"}] == []


@EVERY_SHAPE
def test_unix_links_are_shared_by_haproxy_and_one_replica_each(
    network: str, link: str, replicas: int
) -> None:
    plan = planned(network=network, link=link, replicas=replicas)
    made = services(plan)
    shared = {
        name: {mount for mount in service["volumes"] if "-link:" in mount}
        for name, service in made.items()
    }
    if link == "tcp":
        assert not any(shared.values())
        return
    names = [replica.name for replica in plan.replicas]
    assert shared["haproxy"] == {f"{name}-link:/run/telemt/{name}" for name in names}
    for name in names:
        assert shared[name] == {f"{name}-link:/run/telemt"}
    for name, volume in read(plan)["volumes"].items():
        if not name.endswith("-link"):
            continue
        assert volume["driver_opts"]["type"] == "tmpfs"
        # HAProxy's group may enter, and nobody else.
        assert "gid=99,mode=2750" in volume["driver_opts"]["o"]


@EVERY_SHAPE
def test_no_secret_is_in_any_file_but_the_users(network: str, link: str, replicas: int) -> None:
    files = files_of(planned(network=network, link=link, replicas=replicas))
    holders = [path for path, file in files.items() if SECRET in file.text]
    assert holders == ["secrets/telemt/users.toml"]
    assert "alice" not in files["compose.yaml"].text


@pytest.mark.parametrize(
    ("network", "port", "root"),
    [("host", 443, True), ("host", 1023, True), ("host", 1024, False), ("bridge", 443, False)],
)
def test_only_a_low_port_of_the_host_takes_root_and_three_capabilities(
    network: str, port: int, root: bool
) -> None:
    made = services(planned(network=network, listen=port))
    haproxy = made["haproxy"]
    assert haproxy["cap_drop"] == ["ALL"]
    assert haproxy["user"] == ("0:0" if root else "99:99")
    added = ["NET_BIND_SERVICE", "SETUID", "SETGID", "KILL"]
    assert haproxy.get("cap_add", []) == (added if root else [])
    assert "cap_add" not in made["telemt-1"]


@pytest.mark.parametrize("name", ["null", "true", "false", "on", "off", "yes", "no", "y", "n"])
def test_a_stack_named_like_a_yaml_word_keeps_its_name(name: str) -> None:
    document = read(planned(name=name))
    assert document["services"]["haproxy"]["labels"]["io.stackctl.stack"] == name
    assert document["networks"]["stack"]["labels"]["io.stackctl.stack"] == name
    assert document["volumes"]["telemt-1-link"]["labels"]["io.stackctl.stack"] == name


@pytest.mark.parametrize(
    "digest", ["1234567890123456", "0123456701234567", "12345678901234e5", "260f628fbb077e0f"]
)
def test_a_digest_that_looks_like_a_number_stays_text(digest: str) -> None:
    text = compose_yaml(planned(), {"haproxy": digest, "telemt-1": digest})
    for service in yaml.safe_load(text)["services"].values():
        assert service["labels"]["io.stackctl.config"] == digest


def test_a_changed_config_changes_the_label_of_its_service_only() -> None:
    before = services(planned(replicas=2))
    after = services(planned(replicas=2, balance="leastconn"))
    changed = {name for name in before if before[name]["labels"] != after[name]["labels"]}
    assert changed == {"haproxy"}


def test_each_limit_stands_below_its_reason() -> None:
    lines = text_of(planned(replicas=2)).splitlines()
    limited = [
        number
        for number, line in enumerate(lines)
        if re.match(r"\s+(nofile|nproc|pids_limit|net\.[a-z0-9._]+):", line)
    ]
    assert len(limited) > 40
    for number in limited:
        assert lines[number - 1].lstrip().startswith("#"), lines[number]


def test_a_lowered_limit_says_so_where_it_stands() -> None:
    text = prose(text_of(planned(HostFacts({"nofile": 20_000}, {}, {}), replicas=2)))
    assert text.count("LOWERED to fit") == 3
    assert "nofile: {soft: 20000, hard: 20000}" in text


def test_a_chosen_limit_says_so_where_it_stands() -> None:
    limits = {"mode": "fit", "net.ipv4.tcp_fin_timeout": 20}
    text = prose(text_of(planned(limits=limits)))
    assert text.count("Chosen in stack.yaml") == 2
    assert 'net.ipv4.tcp_fin_timeout: "20"' in text


@pytest.mark.parametrize(("telemt", "said"), [("double", True), ("official", False)])
def test_the_double_is_said_at_the_head_of_the_file(telemt: str, said: bool) -> None:
    head = text_of(planned(None, Sources(telemt, "build"))).partition("services:")[0]
    assert ("DOUBLE" in head) == said


@EVERY_SHAPE
def test_an_operator_can_read_it(network: str, link: str, replicas: int) -> None:
    text = text_of(planned(network=network, link=link, replicas=replicas))
    assert text.endswith("\n")
    assert not text.endswith("\n\n")
    assert "\t" not in text
    assert all(line == line.rstrip() for line in text.splitlines())
    assert not re.search(r"\n{3}", text)
