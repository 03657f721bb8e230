"""host/: what only the machine itself can give."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from stackctl.limits import TABLE, Place
from stackctl.limits.targets import HOST
from stackctl.limits.values import parse
from stackctl.plan import Plan, make_plan
from stackctl.render import host, render
from stackctl.render.host import hardware_script, host_files, prepare_script
from stackctl.spec import Secrets, Stack

NETWORKS = pytest.mark.parametrize("network", ["bridge", "host"])
SYSCTL_D = "host/etc/sysctl.d/99-zz-stackctl-lab.conf"
UNITS = ["containerd.service", "docker.service", "telemt.service"]


def planned(network: str, **keys: object) -> Plan:
    stack = {"name": "lab", "connections": 8000, "network": network, **keys}
    return make_plan(Stack.model_validate(stack))


def lines(plan: Plan, path: str) -> list[str]:
    text = render(plan, Secrets({"user": "0" * 32}))[path].text
    return [line for line in text.splitlines() if line and not line.startswith("#")]


@NETWORKS
def test_sysctls_are_the_hosts_requirements(network: str) -> None:
    plan = planned(network)
    made = dict(line.split(" = ") for line in lines(plan, SYSCTL_D))
    assert len(made) == len(lines(plan, SYSCTL_D))
    wanted = {w.where: r for r, w in plan.written(HOST, Place.SYSCTL_D)}
    assert set(made) == set(wanted)
    for key, text in made.items():
        assert parse(TABLE[wanted[key].limit].kind, text) == wanted[key].wanted


def test_a_stack_on_the_hosts_network_prepares_the_hosts_namespace_too() -> None:
    bridge = {line.split(" = ")[0] for line in lines(planned("bridge"), SYSCTL_D)}
    host = {line.split(" = ")[0] for line in lines(planned("host"), SYSCTL_D)}
    assert bridge < host
    assert "net.core.somaxconn" in host - bridge


@NETWORKS
def test_nothing_systemd_reads_later_overrides_it(network: str) -> None:
    # /etc/sysctl.conf takes part as 99-sysctl.conf, and the last one wins.
    files = render(planned(network), Secrets({"user": "0" * 32}))
    assert SYSCTL_D in files
    assert SYSCTL_D.rpartition("/")[2] > "99-sysctl.conf"


@NETWORKS
def test_modules_are_listed_once(network: str) -> None:
    made = lines(planned(network), "host/etc/modules-load.d/stackctl-lab.conf")
    assert {"nf_conntrack", "sch_fq"} <= set(made)
    assert len(made) == len(set(made))
    assert all(line.replace("_", "").isalnum() for line in made)


@NETWORKS
def test_logins_get_soft_and_hard_and_root_is_named(network: str) -> None:
    assert lines(planned(network), "host/etc/security/limits.d/99-stackctl-lab.conf") == [
        "* soft nofile 1048576",
        "* hard nofile 1048576",
        "root soft nofile 1048576",
        "root hard nofile 1048576",
    ]


def test_a_login_limit_that_was_chosen_keeps_soft_and_hard_apart() -> None:
    limits = {"mode": "fit", "login.nofile": {"soft": 1000, "hard": 2000}}
    made = lines(
        planned("bridge", limits=limits), "host/etc/security/limits.d/99-stackctl-lab.conf"
    )
    assert made[:2] == ["* soft nofile 1000", "* hard nofile 2000"]


@NETWORKS
@pytest.mark.parametrize("unit", UNITS)
def test_units_get_a_drop_in(network: str, unit: str) -> None:
    made = lines(planned(network), f"host/etc/systemd/system/{unit}.d/99-zz-stackctl-lab.conf")
    tasks = ["LimitNPROC=65535"] if unit == "telemt.service" else []
    assert made == ["[Service]", "LimitNOFILE=1048576", *tasks, "TasksMax=infinity"]


@NETWORKS
def test_every_file_says_what_made_it_and_where_it_belongs(network: str) -> None:
    files = render(planned(network), Secrets({"user": "0" * 32}))
    host = {path: file.text for path, file in files.items() if path.startswith("host/etc/")}
    assert len(host) == 3 + len(UNITS)
    for path, text in host.items():
        assert text.startswith("# stackctl-lab. Rendered by stackctl "), path
        assert "/etc" in text.splitlines()[0]
        assert text.endswith("\n")


def test_hardware_is_in_the_table_only_where_it_is_asked_for() -> None:
    def rows(**host: object) -> list[str]:
        text = render(planned("host", host=host), Secrets({"user": "0" * 32}))["host/limits.tsv"]
        return [row for row in text.text.splitlines() if row.startswith("hardware") or "rps" in row]

    assert rows() == []
    assert rows(rps="keep", rfs=0, governor="keep") == []
    assert rows(rps="off", rfs=4096) == [
        "hardware\trps\tequal\toff\t-\t-",
        "hardware\trfs\tequal\t4096\t-\t-",
        "sysctl\tnet.core.rps_sock_flow_entries\tat-least\t4096\t-\thost",
    ]
    made = lines(planned("host", host={"rfs": 4096}), SYSCTL_D)
    assert "net.core.rps_sock_flow_entries = 4096" in made


def test_the_second_script_is_rendered_only_where_hardware_is_asked_for() -> None:
    assert "host/hardware.sh" not in host_files(planned("host"))
    assert "host/hardware.sh" not in host_files(planned("host", host={"rps": "keep"}))
    assert "host/hardware.sh" in host_files(planned("host", host={"rps": "spread"}))


@pytest.mark.parametrize("script", [prepare_script, hardware_script])
def test_a_script_can_be_read(script: Callable[[], str]) -> None:
    text = script()
    assert text.startswith("#!/bin/sh\n")
    assert [line for line in text.splitlines() if len(line) > 120] == []
    # Each program has been put in its place.
    assert "# awk program" not in text


def test_every_part_and_program_is_in_a_script() -> None:
    folder = Path(host.__file__).parent / "prepare"
    parts = {str(path.relative_to(folder)) for path in folder.rglob("*.sh")}
    assert parts == {*host.PREPARE_PARTS, *host.HARDWARE_PARTS}
    rendered = prepare_script() + hardware_script()
    for program in folder.rglob("*.awk"):
        assert program.read_text() in rendered, program
