"""`stackctl doctor` on the live engine: its lines against what docker, /proc and trials say."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import docker
import pytest

from stackctl.checks.doctor import TOPICS

from ..command import environment, stackctl_in
from ..conftest import HAPROXY_IMAGE, MakeLab, leftovers
from ..lab import Lab

KEYS = {"topic", "verdict", "says", "remedy"}
VERDICTS = {"ok", "advice", "short", "error"}
TRACKING = (
    "import json; from stackctl.collector import host, wire; "
    "print(json.dumps(wire.encode(host.tracking())))"
)


def doctor(lab: Lab, *args: str) -> dict[str, Any]:
    """The object of `doctor --json`; its exit status must be the one it states."""
    done = lab.run("doctor", "--json", *args)
    assert done.stdout, done.stderr
    report: dict[str, Any] = json.loads(done.stdout)
    assert report["exit"] == done.returncode
    return report


def lines(report: dict[str, Any], topic: str) -> list[dict[str, str]]:
    return [line for line in report["diagnoses"] if line["topic"] == topic]


def line(report: dict[str, Any], topic: str) -> dict[str, str]:
    (found,) = lines(report, topic)
    return found


def said(*argv: str) -> str:
    """What a command of the host prints."""
    done = subprocess.run(argv, check=True, capture_output=True, text=True)
    return done.stdout.strip()


@pytest.fixture(scope="module")
def report(lab: Lab) -> dict[str, Any]:
    """Of the running lab."""
    return doctor(lab)


def test_one_object_of_the_agreed_shape(report: dict[str, Any], lab: Lab) -> None:
    assert report["stack"] == lab.name
    assert list(dict.fromkeys(x["topic"] for x in report["diagnoses"])) == list(TOPICS)
    for found in report["diagnoses"]:
        assert set(found) == KEYS
        assert found["verdict"] in VERDICTS
        assert found["says"]
        assert bool(found["remedy"]) == (found["verdict"] != "ok"), found
    for verdict, count in report["summary"].items():
        assert count == sum(x["verdict"] == verdict for x in report["diagnoses"])
    wrong = report["summary"]["short"] + report["summary"]["error"]
    assert report["exit"] == (1 if wrong else 0)
    assert report["summary"]["error"] == 0, "everything can be read on a machine of one's own"


def test_engine_and_compose_are_those_that_docker_names(report: dict[str, Any]) -> None:
    assert (
        f"Docker {said('docker', 'version', '-f', '{{.Server.Version}}')} ("
        in line(report, "engine")["says"]
    )
    version = said("docker", "compose", "version", "--short").removeprefix("v")
    assert version in line(report, "compose")["says"]
    assert f"Linux {os.uname().release}:" in line(report, "kernel")["says"]


def test_descriptors_are_what_the_engine_was_seen_to_grant(
    make_lab: MakeLab, granted_nofile: int
) -> None:
    found = doctor(make_lab(connections=250_000, replicas=8))
    haproxy, replicas = lines(found, "descriptors")
    enough = granted_nofile > 500_200
    assert f"can grant {granted_nofile:,}" in haproxy["says"] or enough
    assert "250,000 clients need 500,1" in haproxy["says"]
    assert {haproxy["verdict"], replicas["verdict"]} == ({"ok"} if enough else {"short"})
    assert line(found, "capability")["verdict"] == ("ok" if enough else "short")
    assert found["exit"] == (0 if enough else 1)


def test_strict_names_the_ceiling(make_lab: MakeLab, granted_nofile: int) -> None:
    found = doctor(make_lab(), "--strict")
    refused = [x["says"] for x in lines(found, "limits") if "refuses nofile" in x["says"]]
    if granted_nofile < 1048576:
        assert [str(granted_nofile) in says for says in refused] == [True]
        assert found["exit"] == 1
    else:
        assert refused == []


def test_what_a_container_gets_with_nothing_said(report: dict[str, Any]) -> None:
    client = docker.from_env()
    container = client.containers.create(
        HAPROXY_IMAGE, ["sh", "-c", "ulimit -Sn; ulimit -Hn"], network_mode="none"
    )
    try:
        container.start()
        container.wait()
        soft, hard = (int(word) for word in container.logs().split())
    finally:
        container.remove(force=True)
    words = line(report, "ulimits")["says"]
    assert (f"nofile {soft:,} soft, {hard:,} hard" in words) or (hard > 1 << 28 and "inf" in words)


def test_the_userland_proxy_is_the_one_that_runs(report: dict[str, Any], lab: Lab) -> None:
    running = 0
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        words = path.read_bytes().split(b"\0") if path.exists() else []
        running += b"docker-proxy" in words[0] and str(lab.port).encode() in words if words else 0
    found = line(report, "addresses")
    assert found["verdict"] == ("advice" if running else "ok")
    assert not running or f"{running} docker-proxy run for this stack's port" in found["says"]


def test_control_groups_are_those_that_docker_names(report: dict[str, Any]) -> None:
    version = said("docker", "info", "-f", "{{.CgroupVersion}}")
    found = line(report, "cgroup")
    assert found["verdict"] == ("ok" if version == "2" else "advice")
    assert f"control groups v{version}" in found["says"] or "hybrid" in found["says"]


def test_memory_and_conntrack_have_this_machines_figures(make_lab: MakeLab) -> None:
    found = doctor(make_lab(connections=10_000_000, replicas=200))
    total = next(
        int(row.split()[1]) >> 10
        for row in Path("/proc/meminfo").read_text().splitlines()
        if row.startswith("MemTotal")
    )
    assert f"this machine has {total:,} MiB" in line(found, "memory")["says"]
    table = int(Path("/proc/sys/net/netfilter/nf_conntrack_max").read_text())
    assert f"the table has room for {table:,} and holds " in line(found, "conntrack")["says"]
    assert line(found, "conntrack")["verdict"] == ("short" if table < 10_000_000 else "advice")
    assert found["exit"] == 1


def tracked_here() -> bool:
    """A connection of this test's own, looked for in the kernel's list."""
    with (
        socket.create_server(("127.0.0.1", 0)) as server,
        socket.create_connection(server.getsockname()) as client,
    ):
        ends = f"sport={client.getsockname()[1]} dport={server.getsockname()[1]} "
        return ends in Path("/proc/net/nf_conntrack").read_text()


def test_on_the_hosts_network_the_kernels_own_list_agrees(make_lab: MakeLab) -> None:
    words = line(doctor(make_lab(network="host")), "conntrack")["says"]
    assert ("a test connection was tracked" in words) == tracked_here()
    assert ("a test connection was not tracked" in words) != tracked_here()


@pytest.mark.parametrize(
    ("rule", "seen"),
    [
        ([], {"ipv4": 0, "ipv6": 0}),
        (["iptables"], {"ipv4": 1, "ipv6": 0}),
        (["ip6tables"], {"ipv4": 0, "ipv6": 1}),
    ],
)
def test_a_rule_is_what_makes_a_namespace_track(
    repo: Path, rule: list[str], seen: dict[str, int]
) -> None:
    firewall = "".join(f"{tool} -A INPUT -m conntrack --ctstate NEW; " for tool in rule)
    probe = f"cd {repo}/src && exec {sys.executable} -c '{TRACKING}'"
    # A namespace of its own, gone when the command ends.
    found = json.loads(
        said("unshare", "--net", "sh", "-ec", f"ip link set lo up; {firewall}{probe}")
    )
    assert {family: found[family].get("value") for family in seen} == seen
    assert (found["count"]["value"] == "0\n") == (not rule)


def test_it_reads_and_leaves_nothing(make_lab: MakeLab) -> None:
    idle = make_lab()
    assert {x["verdict"] for x in doctor(idle)["diagnoses"]} <= VERDICTS
    assert leftovers(idle.name) == []


def test_the_table_for_people(lab: Lab, report: dict[str, Any]) -> None:
    done = lab.run("doctor")
    assert done.returncode == report["exit"]
    for topic in TOPICS:
        assert f" {topic} " in done.stdout
    assert done.stdout.count("do: ") == sum(bool(x["remedy"]) for x in report["diagnoses"])
    assert "Traceback" not in done.stderr


def test_without_an_engine_it_says_what_it_can(lab: Lab, tmp_path: Path) -> None:
    nowhere = f"unix://{tmp_path}/nothing.sock"
    env = environment(DOCKER_HOST=nowhere)
    done = stackctl_in(env, "doctor", "--json", cwd=lab.folder)
    found = json.loads(done.stdout)
    assert (done.returncode, found["exit"]) == (3, 3)
    assert list(dict.fromkeys(x["topic"] for x in found["diagnoses"])) == list(TOPICS)
    engine = line(found, "engine")
    assert engine["verdict"] == "short"
    assert f"no engine answers at {nowhere}" in engine["says"]
    assert "make engine" in engine["remedy"]
    nr_open = int(Path("/proc/sys/fs/nr_open").read_text())
    assert f"fs.nr_open {nr_open:,}" in lines(found, "nr_open")[0]["says"]
    assert line(found, "descriptors")["verdict"] == "error"
    people = stackctl_in(env, "doctor", cwd=lab.folder)
    assert people.returncode == 3
    assert "no engine answers" in people.stdout
    assert "Traceback" not in people.stderr


def test_without_the_docker_command_compose_is_short(lab: Lab, tmp_path: Path) -> None:
    env = environment(PATH=tmp_path)
    done = stackctl_in(env, "doctor", "--json", cwd=lab.folder)
    found = json.loads(done.stdout)
    assert done.returncode == 1
    assert line(found, "compose")["verdict"] == "short"
    assert "compose v2" in line(found, "compose")["remedy"]
    assert line(found, "engine")["verdict"] == "ok"


@pytest.mark.parametrize("args", [["--fit", "--strict"], ["-f", "missing.yaml"]])
def test_bad_input(lab: Lab, args: list[str]) -> None:
    done = lab.run("doctor", *args)
    assert (done.returncode, done.stdout) == (2, "")
    assert "error: " in done.stderr
