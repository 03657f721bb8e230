"""Source ports, client addresses, connection tracking."""

from __future__ import annotations

from typing import Any

import pytest

from tests.unit.observe.cases import PORT

from .conftest import Patient

RANGE = "net.ipv4.ip_local_port_range"
ONE_PORT = {"link_ports": 1, "port_share": 100}


class TestPorts:
    def test_unix_links_take_none(self, patient: Patient) -> None:
        patient.stack |= {"connections": 500_000, "replicas": 2}
        assert patient.lines("ports")[0].verdict == "ok"

    @pytest.mark.parametrize(
        ("connections", "verdict"), [(20_000, "ok"), (60_000, "advice"), (120_000, "short")]
    )
    def test_tcp_links_of_a_bridge_have_the_planned_range(
        self, patient: Patient, connections: int, verdict: str
    ) -> None:
        patient.sysctl(RANGE, "32768 33000")
        patient.stack |= {"connections": connections, "link": "tcp", **ONE_PORT}
        line = patient.lines("ports")[0]
        assert line.verdict == verdict
        assert f"{connections // 2:,}" in line.evidence
        assert "55,536" in line.evidence

    def test_what_the_plan_refuses_is_bad(self, patient: Patient) -> None:
        patient.stack |= {"connections": 60_000, "link": "tcp", "link_ports": 1}
        line = patient.lines("ports")[0]
        assert (line.verdict, "at most 45 %" in line.evidence) == ("short", True)
        assert "more `link_ports`, or `replicas: 3`" in line.remedy

    def test_by_itself_a_stack_has_the_ports_it_needs(self, patient: Patient) -> None:
        patient.stack |= {"connections": 600_000, "link": "tcp"}
        assert patient.lines("ports")[0].verdict == "ok"

    def test_tcp_links_on_the_host_have_the_hosts(self, patient: Patient) -> None:
        patient.stack |= {"connections": 60_000, "link": "tcp", "network": "host", **ONE_PORT}
        patient.sysctl(RANGE, "32768\t60999")
        line = patient.lines("ports")[0]
        assert (line.verdict, "28,232" in line.evidence) == ("short", True)
        assert "replicas: 3" in line.remedy
        patient.sysctl(RANGE, "1024 65535")
        assert patient.lines("ports")[0].verdict == "advice"

    @pytest.mark.parametrize(
        ("network", "connections", "middle", "verdict"),
        [
            ("bridge", 64_512, False, "ok"),
            ("bridge", 64_513, False, "advice"),
            ("host", 28_232, False, "ok"),
            ("host", 28_233, False, "advice"),
            ("host", 500_000, True, "ok"),
        ],
    )
    def test_towards_telegram(
        self, patient: Patient, network: str, connections: int, middle: bool, verdict: str
    ) -> None:
        patient.sysctl(RANGE, "32768 60999")
        patient.stack |= {"connections": connections, "network": network}
        patient.stack["telemt"] = {"middle_proxy": middle}
        assert patient.verdicts("ports")[1] == verdict
        if network == "host" and verdict == "advice":
            assert f"widen {RANGE}" in patient.lines("ports")[1].remedy

    def test_a_range_that_is_no_pair(self, patient: Patient) -> None:
        patient.stack |= {"network": "host"}
        patient.sysctl(RANGE, "32768")
        assert patient.verdicts("ports") == ["ok", "error"]


class TestAddresses:
    def dockerd(self, patient: Patient) -> dict[str, Any]:
        daemons = patient.facts["engine"]["daemons"]
        found: dict[str, Any] = next(d for d in daemons if d["comm"] == "dockerd")
        return found

    def told(self, patient: Patient) -> dict[str, Any]:
        found: dict[str, Any] = self.dockerd(patient)["told"]
        return found

    def another(self, patient: Patient, pid: int = 0, **told: object) -> None:
        """A second dockerd, told something else."""
        mine = self.dockerd(patient)
        other = {**mine, "pid": pid or mine["pid"], "told": {**mine["told"], **told}}
        patient.facts["engine"]["daemons"].append(other)

    def test_the_proxy_of_the_stacks_own_port(self, patient: Patient) -> None:
        patient.stack["listen"] = PORT
        assert patient.verdicts("addresses") == ["advice"]
        many = len(patient.facts["engine"]["proxies"])
        words = f"{many} docker-proxy run for this stack's port {PORT}"
        assert words in patient.line("addresses").evidence

    def test_a_container_port_is_not_the_hosts(self, patient: Patient) -> None:
        patient.stack["listen"] = 9999
        for proxy in patient.facts["engine"]["proxies"]:
            proxy["arguments"]["value"][-1] = "9999"
        assert "for this stack" not in patient.line("addresses").evidence
        assert patient.verdicts("addresses") == ["advice"]

    @pytest.mark.parametrize(
        ("flags", "file", "verdict", "words"),
        [
            ([], {"error": "ENOENT: x"}, "advice", "no setting of the engine turns it off"),
            ([], {"value": {"userland-proxy": False}}, "ok", "is off"),
            (["--userland-proxy=false"], {"error": "ENOENT: x"}, "ok", "is off"),
            (["--userland-proxy"], {"value": {}}, "advice", "is on"),
            ([], {"error": "EACCES: x"}, "error", "EACCES"),
            (["--iptables=false"], {"value": {}}, "short", "no firewall rules"),
            ([], {"value": {"iptables": False}}, "short", "no firewall rules"),
        ],
    )
    def test_with_no_proxy_running_what_the_engine_was_told_counts(
        self, patient: Patient, flags: list[str], file: dict[str, Any], verdict: str, words: str
    ) -> None:
        patient.facts["engine"]["proxies"] = []
        self.told(patient).update(flags={"value": flags}, file=file)
        assert patient.verdicts("addresses") == [verdict]
        assert words in patient.line("addresses").evidence

    def test_an_engine_of_another_namespace_is_not_this_one(self, patient: Patient) -> None:
        patient.stack["listen"] = PORT
        away = {"value": "net:[4026532999]"}
        for proxy in patient.facts["engine"]["proxies"]:
            proxy["netns"] = away
        self.told(patient)["file"] = {"value": {"userland-proxy": False}}
        self.another(patient, netns=away, file={"value": {}})
        assert patient.verdicts("addresses") == ["ok"]

    def test_several_that_differ(self, patient: Patient) -> None:
        patient.facts["engine"]["proxies"] = []
        self.another(patient, file={"value": {"userland-proxy": False}})
        assert patient.verdicts("addresses") == ["error"]
        assert "2 dockerd run, and they differ" in patient.line("addresses").evidence

    def test_a_proxy_of_another_engine_is_not_this_ones(self, patient: Patient) -> None:
        patient.stack["listen"] = 9999
        self.told(patient).update(file={"value": {"userland-proxy": False}})
        for proxy in patient.facts["engine"]["proxies"]:
            proxy["parent"] = 4711
        self.another(patient, pid=4711, file={"value": {}})
        assert patient.verdicts("addresses") == ["error"]
        patient.stack["listen"] = PORT
        assert patient.verdicts("addresses") == ["advice"]

    @pytest.mark.parametrize(("parent", "verdict"), [("own", "advice"), (4711, "error")])
    def test_a_running_proxy_stands_in_for_a_file_that_cannot_be_read(
        self, patient: Patient, parent: object, verdict: str
    ) -> None:
        patient.stack["listen"] = 9999
        mine = self.dockerd(patient)
        self.told(patient).update(file={"error": "EACCES: x"})
        for proxy in patient.facts["engine"]["proxies"]:
            proxy["parent"] = mine["pid"] if parent == "own" else parent
        assert patient.verdicts("addresses") == [verdict]

    def test_no_daemon_to_be_seen(self, patient: Patient) -> None:
        patient.facts["engine"] |= {"proxies": [], "daemons": []}
        assert patient.verdicts("addresses") == ["error"]

    def test_rootless(self, patient: Patient) -> None:
        patient.info["SecurityOptions"] = ["name=seccomp,profile=default", "name=rootless"]
        assert patient.verdicts("addresses") == ["short"]
        patient.stack["network"] = "host"
        assert patient.verdicts("addresses") == ["ok"]


class TestConntrack:
    TABLE = "net.netfilter.nf_conntrack_max"

    @pytest.mark.parametrize(
        ("table", "count", "verdict"),
        [
            ("262144", "40", "ok"),
            ("262144", "250000", "advice"),
            ("16000", "40", "advice"),
            ("15999", "40", "short"),
        ],
    )
    def test_a_bridge(self, patient: Patient, table: str, count: str, verdict: str) -> None:
        patient.sysctl(self.TABLE, table)
        patient.facts["tracking"]["count"] = {"value": count}
        line = patient.line("conntrack")
        assert patient.verdicts("conntrack") == [verdict]
        assert "8,000 clients make 16,000 entries" in line.evidence
        assert f"{int(table):,} and holds {int(count):,} now" in line.evidence

    def test_on_the_host_the_effective_test_decides(self, patient: Patient) -> None:
        patient.stack["network"] = "host"
        patient.sysctl(self.TABLE, "1000")
        assert patient.verdicts("conntrack") == ["short"]
        assert "a test connection was tracked" in patient.line("conntrack").evidence
        untracked = {"ipv4": {"value": 0}, "ipv6": {"value": 0}, "count": {"value": "0"}}
        patient.facts["tracking"] = untracked
        assert patient.verdicts("conntrack") == ["ok"]
        assert "a test connection was not tracked" in patient.line("conntrack").evidence
        untracked["count"] = {"value": "3"}
        assert patient.verdicts("conntrack") == ["short"]
        assert "may be tracked" in patient.line("conntrack").evidence

    def test_a_bridge_is_tracked_whatever_the_host_does(self, patient: Patient) -> None:
        patient.sysctl(self.TABLE, "1000")
        patient.facts["tracking"] |= {"ipv4": {"value": 0}, "count": {"value": "0"}}
        assert patient.verdicts("conntrack") == ["short"]
