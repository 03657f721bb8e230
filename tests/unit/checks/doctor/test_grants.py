"""What the engine can grant against what the stack needs."""

from __future__ import annotations

from dataclasses import replace

import pytest

from stackctl.checks.doctor import Problem

from .conftest import Patient


class TestEngine:
    def test_its_parts_are_named(self, patient: Patient) -> None:
        line = patient.line("engine")
        assert line.verdict == "ok"
        assert f"API {patient.about['ApiVersion']}" in line.evidence
        parts = {part["Name"]: part["Version"] for part in patient.about["Components"]}
        assert f"Docker {parts.pop('Engine')}" in line.evidence
        for name in ("containerd", "runc"):
            assert f"{name} {parts[name]}" in line.evidence

    def test_another_machine_and_a_desktop(self, patient: Patient) -> None:
        patient.more["same_machine"] = False
        assert "another machine" in patient.line("engine").evidence
        assert patient.verdicts("engine") == ["advice"]
        patient.info["OperatingSystem"] = "Docker Desktop"
        assert "virtual machine" in patient.line("engine").evidence

    def test_one_that_is_too_old_or_away(self, patient: Patient) -> None:
        patient.more["engine"] = Problem("no engine answers at x", "start it")
        line = patient.line("engine")
        assert (line.verdict, line.remedy) == ("short", "start it")
        assert line.evidence == "no engine answers at x; the lines below are read on this machine"

    @pytest.mark.parametrize(("on", "verdict"), [(True, "ok"), (False, "advice")])
    def test_restart(self, patient: Patient, on: bool, verdict: str) -> None:
        patient.info["LiveRestoreEnabled"] = on
        assert patient.verdicts("restart") == [verdict]
        assert ("8,000" in patient.line("restart").evidence) is not on

    def test_restart_unsaid(self, patient: Patient) -> None:
        del patient.info["LiveRestoreEnabled"]
        assert patient.verdicts("restart") == ["error"]


class TestCompose:
    def test_there(self, patient: Patient) -> None:
        assert "2.40.3" in patient.line("compose").evidence
        assert patient.verdicts("compose") == ["ok"]

    def test_too_old(self, patient: Patient) -> None:
        patient.more["compose_lacks"] = ("--wait-timeout",)
        assert "has no --wait-timeout" in patient.line("compose").evidence
        assert patient.verdicts("compose") == ["short"]

    def test_none(self, patient: Patient) -> None:
        patient.more["no_compose"] = Problem("`docker compose` is not installed", "get it")
        line = patient.line("compose")
        assert (line.verdict, line.remedy) == ("short", "get it")


class TestCapability:
    def test_without_it_the_starters_own_limit_is_the_end(self, patient: Patient) -> None:
        line = patient.line("capability")
        need = patient.evidence().sizes.telemt_descriptors
        assert line.verdict == "advice"
        for part in ("no CAP_SYS_RESOURCE", "20,000", f"needs {need:,}", "1,048,576"):
            assert part in line.evidence

    def test_with_it(self, patient: Patient) -> None:
        patient.may_raise()
        assert patient.verdicts("capability") == ["ok"]

    def test_a_limit_high_enough_needs_no_capability(self, patient: Patient) -> None:
        patient.nofile(1024, 1048576)
        assert patient.verdicts("capability") == ["ok"]

    def test_too_low_for_the_number(self, patient: Patient) -> None:
        patient.nofile(1024, 4096)
        assert patient.verdicts("capability") == ["short"]

    def test_strict_takes_the_wanted_or_nothing(self, patient: Patient) -> None:
        patient.stack["limits"] = {"mode": "strict"}
        assert patient.verdicts("capability") == ["short"]

    def test_in_a_user_namespace_of_its_own_it_does_not_count(self, patient: Patient) -> None:
        patient.may_raise()
        patient.facts["engine"]["starter"]["user_namespace"] = {"value": "user:[4026532123]"}
        assert "user namespace of its own" in patient.line("capability").evidence


class TestDescriptors:
    def test_enough(self, patient: Patient) -> None:
        assert patient.verdicts("descriptors") == ["ok", "ok"]
        need = patient.evidence().sizes.haproxy_descriptors
        assert f"need {need:,} descriptors" in patient.lines("descriptors")[0].evidence

    def test_a_quarter_of_a_million_here(self, patient: Patient) -> None:
        patient.stack |= {"connections": 250_000, "replicas": 8}
        haproxy, replicas = patient.lines("descriptors")
        assert (haproxy.verdict, replicas.verdict) == ("short", "short")
        need = patient.evidence().sizes.haproxy_descriptors
        assert need > 500_000
        assert f"250,000 clients need {need:,} descriptors in haproxy" in haproxy.evidence
        assert "this engine can grant 20,000" in haproxy.evidence
        assert "of 250,000" in replicas.evidence

    def test_the_number_it_proposes_fits(self, patient: Patient) -> None:
        patient.stack |= {"connections": 250_000, "replicas": 8}
        haproxy, replicas = patient.lines("descriptors")
        most = int(haproxy.remedy.rpartition("connections: ")[2].split()[0].rstrip("`"))
        least = int(replicas.remedy.partition("replicas: ")[2].split("`")[0])
        patient.stack |= {"connections": most}
        assert patient.verdicts("descriptors") == ["ok", "ok"]
        patient.stack |= {"connections": 250_000, "replicas": least}
        assert patient.lines("descriptors")[1].verdict == "ok"

    def test_too_few_by_the_file_itself(self, patient: Patient) -> None:
        patient.may_raise()
        patient.stack["limits"] = {"mode": "fit", "nofile": {"soft": 10_000, "hard": 10_000}}
        line = patient.lines("descriptors")[0]
        assert line.verdict == "short"
        assert "stack.yaml gives it 10,000" in line.evidence
        assert "`limits` of stack.yaml" in line.remedy

    def test_with_the_capability_a_quarter_of_a_million_fits(self, patient: Patient) -> None:
        patient.may_raise()
        patient.stack |= {"connections": 250_000, "replicas": 8}
        assert patient.verdicts("descriptors") == ["ok", "ok"]


class TestNrOpen:
    def test_enough(self, patient: Patient) -> None:
        assert patient.verdicts("nr_open") == ["ok", "ok"]
        assert "1,048,576" in patient.lines("nr_open")[0].evidence

    @pytest.mark.parametrize(
        ("value", "mode", "verdict"),
        [("10000", "fit", "short"), ("524288", "fit", "advice"), ("524288", "strict", "short")],
    )
    def test_low(self, patient: Patient, value: str, mode: str, verdict: str) -> None:
        patient.sysctl("fs.nr_open", value)
        patient.stack["limits"] = {"mode": mode}
        assert patient.verdicts("nr_open")[0] == verdict

    def test_the_whole_machine(self, patient: Patient) -> None:
        patient.sysctl("fs.file-max", "40000")
        assert patient.verdicts("nr_open") == ["ok", "short"]
        assert "40,000" in patient.lines("nr_open")[1].evidence

    def test_what_can_be_read_is_said_beside_what_cannot(self, patient: Patient) -> None:
        del patient.facts["sysctls"]["fs.file-max"]
        assert patient.verdicts("nr_open") == ["ok", "error"]


class TestUlimits:
    @pytest.mark.parametrize(
        ("soft", "hard", "words"),
        [
            (20_000, 20_000, "20,000 soft, 20,000 hard;"),
            (1024, 524_288, "1,024 soft, 524,288 hard (systemd's own, as Docker 29"),
            (1_048_576, 1_048_576, "as Docker up to 20.10 sets it"),
            (1_073_741_816, 1_073_741_816, "infinity (1,073,741,816, as Docker 23 and 24"),
        ],
    )
    def test_what_nothing_said_means(
        self, patient: Patient, soft: int, hard: int, words: str
    ) -> None:
        patient.nofile(soft, hard, "unsaid")
        line = patient.line("ulimits")
        assert line.verdict == "ok"
        assert words in line.evidence
        assert "sets nofile for each of this stack's 3, HAProxy 20,000" in line.evidence

    def test_a_container_that_is_told_nothing_is_bad(self, patient: Patient) -> None:
        plan = patient.evidence().plan
        assert plan is not None
        silent = tuple(replace(r, written=()) for r in plan.requirements if r.limit == "nofile")
        patient.more["plan"] = replace(plan, requirements=silent)
        line = patient.line("ulimits")
        assert line.verdict == "short"
        assert "sets no nofile for haproxy, telemt-1, telemt-2" in line.evidence

    def test_no_row_and_no_plan_tell_nothing(self, patient: Patient) -> None:
        patient.stack |= {"connections": 250_000, "replicas": 1, "link": "tcp", "link_ports": 1}
        line = patient.line("ulimits")
        assert line.verdict == "error"
        assert "20,000 soft" in line.evidence
        patient.facts["unsaid"]["value"] = "Max cpu time\n"
        assert "no row for open files" in patient.line("ulimits").evidence


class TestLimits:
    def test_lowered(self, patient: Patient) -> None:
        line = patient.line("limits")
        assert line.verdict == "advice"
        assert "nofile is lowered" in line.evidence
        assert "20000" in line.evidence

    def test_strict_refuses_each_with_its_own_way_out(self, patient: Patient) -> None:
        patient.stack |= {"limits": {"mode": "strict"}, "network": "host"}
        patient.sysctl("net.core.somaxconn", "4096")
        lines = {line.evidence.split()[3].rstrip(":"): line for line in patient.lines("limits")}
        assert set(lines) >= {"nofile", "haproxy.backlog", "telemt.listen_backlog"}
        assert {line.verdict for line in lines.values()} == {"short"}
        assert "higher hard limit" in lines["nofile"].remedy
        assert "4096" in lines["haproxy.backlog"].evidence
        assert "hard limit" not in lines["haproxy.backlog"].remedy

    def test_all_granted(self, patient: Patient) -> None:
        patient.may_raise()
        patient.facts["allowed"]["value"] = "reno bbr\n"
        assert patient.verdicts("limits") == ["ok"]

    def test_a_topology_that_cannot_carry_it(self, patient: Patient) -> None:
        patient.stack |= {"connections": 250_000, "replicas": 1, "link": "tcp", "link_ports": 1}
        line = patient.line("limits")
        assert line.verdict == "short"
        assert "tcp: 250000 connections" in line.evidence
        assert "link: unix" in line.remedy
