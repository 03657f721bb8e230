"""Kernel, control groups, memory, clock, security modules."""

from __future__ import annotations

from typing import Any

import pytest

from stackctl.checks.doctor import Problem

from .conftest import Patient


@pytest.mark.parametrize(
    ("release", "verdict", "words"),
    [
        ("6.1.0-42-amd64", "ok", "somaxconn 4096"),
        ("5.4.0", "advice", "no pidfd_getfd"),
        ("4.19.0-27-amd64", "advice", "somaxconn 128"),
        ("", "error", "could not be read"),
    ],
)
def test_kernel(patient: Patient, release: str, verdict: str, words: str) -> None:
    patient.facts["kernel"] = release
    assert patient.verdicts("kernel") == [verdict]
    assert words in patient.line("kernel").evidence


def test_kernel_without_its_congestion_controls(patient: Patient) -> None:
    patient.facts["allowed"] = NO_FILE
    assert "not known here" in patient.line("kernel").evidence
    assert patient.verdicts("kernel") == ["ok"]


V1 = "39 31 0:36 / /sys/fs/cgroup/pids rw - cgroup cgroup rw,pids"
V2 = "31 23 0:28 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw"


@pytest.mark.parametrize(
    ("mounts", "verdict", "words"),
    [
        (V2, "ok", "control groups v2"),
        (V1, "advice", "control groups v1,"),
        (f"{V1}\n{V2}", "advice", "hybrid"),
        ("", "error", "no control group hierarchy"),
    ],
)
def test_cgroup(patient: Patient, mounts: str, verdict: str, words: str) -> None:
    patient.facts["cgroups"]["value"] = mounts
    assert patient.verdicts("cgroup") == [verdict]
    assert words in patient.line("cgroup").evidence


def test_an_engine_without_a_pids_limit(patient: Patient) -> None:
    patient.info["PidsLimit"] = False
    assert patient.verdicts("cgroup") == ["short"]
    assert "pids_limit is not in force" in patient.line("cgroup").evidence


@pytest.mark.parametrize(
    ("total", "available", "verdict"),
    [(8192, 7000, "ok"), (8192, 100, "advice"), (150, 140, "advice"), (128, 120, "short")],
)
def test_memory(patient: Patient, total: int, available: int, verdict: str) -> None:
    patient.facts["memory"] = {"value": total << 20}
    patient.facts["memory_available"] = {"value": available << 20}
    line = patient.line("memory")
    assert patient.verdicts("memory") == [verdict]
    assert "135 MiB" in line.evidence
    assert f"{total:,} MiB, {available:,}" in line.evidence


def test_the_number_that_memory_has_room_for(patient: Patient) -> None:
    patient.facts["memory"] = patient.facts["memory_available"] = {"value": 128 << 20}
    words = patient.line("memory").remedy
    patient.stack["connections"] = int(words.partition("connections: ")[2].split("`")[0])
    assert patient.verdicts("memory") == ["ok"]


def clock(state: int, status: int, *keepers: str) -> dict[str, Any]:
    kernel = {"state": state, "status": status, "offset": 0, "maxerror": 250_000, "esterror": 0}
    return {"clock": {"value": kernel}, "keepers": {"value": list(keepers)}}


@pytest.mark.parametrize(
    ("facts", "verdict", "words"),
    [
        (clock(0, 0x2001, "chronyd"), "ok", "at most 0.250 s off (chronyd runs)"),
        (clock(5, 0x40), "advice", "no time daemon runs"),
        (clock(5, 0x40, "systemd-timesyn"), "advice", "systemd-timesyn runs"),
        (clock(0, 0x40), "advice", "is not synchronised"),
        (clock(5, 0), "advice", "is not synchronised"),
    ],
)
def test_clock(patient: Patient, facts: dict[str, Any], verdict: str, words: str) -> None:
    patient.facts |= facts
    assert patient.verdicts("clock") == [verdict]
    assert words in patient.line("clock").evidence
    assert "120 s" in patient.line("clock").evidence


@pytest.mark.parametrize(
    ("ahead", "verdict", "side"),
    [(119.0, "ok", ""), (121.0, "short", "121 s ahead"), (-900.0, "short", "900 s behind")],
)
def test_two_clocks(patient: Patient, ahead: float, verdict: str, side: str) -> None:
    patient.facts |= clock(0, 1, "chronyd")
    patient.more["ahead"] = ahead
    assert patient.verdicts("clock") == [verdict]
    assert side in patient.line("clock").evidence


NO_FILE = {"error": "ENOENT: No such file or directory"}
PARSER = {"value": ["/usr/sbin/apparmor_parser"]}


@pytest.mark.parametrize(
    ("enabled", "parser", "used", "verdict", "words"),
    [
        (NO_FILE, {"value": []}, False, "ok", "not in this kernel"),
        ({"value": "N\n"}, {"value": []}, False, "ok", "switched off"),
        ({"value": "Y\n"}, PARSER, True, "ok", "docker-default"),
        ({"value": "Y\n"}, {"value": []}, True, "short", "containers do not start"),
        ({"value": "Y\n"}, {"value": []}, False, "advice", "without a profile"),
        ({"value": "Y\n"}, PARSER, False, "advice", "without a profile"),
        ({"error": "EACCES: x"}, PARSER, True, "error", "EACCES"),
    ],
)
def test_apparmor(
    patient: Patient,
    enabled: dict[str, Any],
    parser: dict[str, Any],
    used: bool,
    verdict: str,
    words: str,
) -> None:
    patient.facts["security"] |= {"apparmor": enabled, "parser": parser}
    patient.info["SecurityOptions"] = ["name=apparmor"] if used else ["name=seccomp"]
    assert patient.verdicts("security") == ["ok", verdict]
    assert words in patient.lines("security")[1].evidence


@pytest.mark.parametrize(
    ("enforce", "used", "verdict"),
    [
        (NO_FILE, False, "ok"),
        ({"value": "0"}, True, "ok"),
        ({"value": "1"}, False, "ok"),
        ({"value": "1"}, True, "advice"),
    ],
)
def test_selinux(patient: Patient, enforce: dict[str, Any], used: bool, verdict: str) -> None:
    patient.facts["security"]["selinux"] = enforce
    patient.info["SecurityOptions"] = ["name=selinux"] if used else []
    assert patient.verdicts("security")[0] == verdict


def test_a_refusal_that_was_met(patient: Patient) -> None:
    patient.facts["engine"]["starter"]["limits"] = {"error": "EACCES: Permission denied"}
    line = patient.lines("security")[0]
    assert line.verdict == "short"
    assert "limits of containerd-shim" in line.evidence


@pytest.mark.parametrize(
    ("words", "bad"),
    [
        ("running the collector failed at x: AppArmor enabled on system but the profile", True),
        ("the collector failed with status 1: open /app: Permission denied", True),
        ("running the collector failed at x: no space left on device", False),
        ("the image needs a registry: permission denied", False),
    ],
)
def test_a_probe_that_was_refused(patient: Patient, words: str, bad: bool) -> None:
    patient.more |= {"no_facts": Problem(words, "see"), "host": None, "facts": None}
    assert patient.verdicts("security") == (["short"] if bad else ["error"])
    assert words in patient.line("security").evidence
