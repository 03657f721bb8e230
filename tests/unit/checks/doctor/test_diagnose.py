"""Every topic speaks, whatever is missing; exit statuses; nothing unread is ok."""

from __future__ import annotations

import io
import json
from dataclasses import replace
from typing import Any

import pytest
from rich.console import Console

from stackctl.checks.doctor import TOPICS, Evidence, Problem, exit_status, judge
from stackctl.checks.finding import Finding, Verdict
from stackctl.errors import Exit
from stackctl.report.doctor import doctor_document, doctor_report

from .conftest import Patient

NO_ENGINE = Problem("no engine answers at unix:///nowhere", "start one")


def test_the_captured_host(patient: Patient) -> None:
    lines = judge(patient.evidence())
    assert list(dict.fromkeys(line.about for line in lines)) == list(TOPICS)
    verdicts = {line.about: line.verdict for line in lines}
    assert set(verdicts.values()) == {Verdict.OK, Verdict.ADVICE}
    assert exit_status(patient.evidence(), lines) is Exit.OK


def test_no_engine_and_no_facts(patient: Patient) -> None:
    seen = patient.evidence()
    bare = Evidence(
        seen.stack, seen.sizes, engine=NO_ENGINE, no_facts=NO_ENGINE, no_compose=NO_ENGINE
    )
    lines = judge(bare)
    verdicts = {line.about: line.verdict for line in lines}
    assert set(verdicts) == set(TOPICS)
    assert verdicts.pop("engine") is verdicts.pop("compose") is Verdict.SHORT
    assert verdicts.pop("ports") is Verdict.OK  # unix links need none, whatever the host
    assert set(verdicts.values()) == {Verdict.ERROR}
    assert exit_status(bare, lines) is Exit.UNREACHABLE
    unknown = [line for line in lines if line.verdict is Verdict.ERROR]
    assert all("no engine answers" in line.evidence or line.about == "kernel" for line in unknown)
    assert {line.remedy for line in unknown} == {"see the line `engine`"}
    assert f"need {seen.sizes.haproxy_descriptors:,} desc" in _of(lines, "descriptors").evidence


def test_a_probe_that_cannot_run_is_said_on_every_line_that_needs_it(patient: Patient) -> None:
    seen = patient.evidence()
    gone = Problem("the collector's image is gone", "build it")
    lines = judge(replace(seen, facts=None, host=None, no_facts=gone, ahead=None))
    for topic in ("capability", "descriptors", "nr_open", "memory", "clock", "security", "cgroup"):
        line = _of(lines, topic)
        assert (line.verdict, line.remedy) == (Verdict.ERROR, "build it"), topic
        assert "image is gone" in line.evidence
    assert _of(lines, "engine").verdict is Verdict.OK
    assert exit_status(seen, lines) is Exit.SHORT


@pytest.mark.parametrize(
    ("path", "topic"),
    [
        (("engine", "starter", "status"), "capability"),
        (("engine", "starter", "user_namespace"), "capability"),
        (("engine", "starter", "limits"), "descriptors"),
        (("sysctls", "fs.nr_open"), "nr_open"),
        (("sysctls", "fs.file-max"), "nr_open"),
        (("unsaid",), "ulimits"),
        (("memory",), "memory"),
        (("memory_available",), "memory"),
        (("clock",), "clock"),
        (("cgroups",), "cgroup"),
        (("security", "apparmor"), "security"),
        (("security", "selinux"), "security"),
        (("tracking", "count"), "conntrack"),
        (("sysctls", "net.netfilter.nf_conntrack_max"), "conntrack"),
    ],
)
@pytest.mark.parametrize("reading", [{"error": "EIO: Input/output error"}, {"value": ""}, {}])
def test_what_cannot_be_read_is_unknown_and_never_ok(
    patient: Patient, path: tuple[str, ...], topic: str, reading: dict[str, Any]
) -> None:
    if "value" in reading and path[0] in {"memory", "memory_available", "clock"}:
        reading = {}  # a number has no empty form
    node = patient.facts
    for step in path[:-1]:
        node = node[step]
    node[path[-1]] = reading
    said = {line.verdict: line for line in patient.lines(topic)}
    if path[-1] == "status" and "value" in reading:
        # Read, and it holds no capability.
        assert Verdict.OK not in said
        return
    assert Verdict.ERROR in said
    assert said[Verdict.ERROR].remedy


def test_exit_statuses(patient: Patient) -> None:
    seen = patient.evidence()
    for verdict, status in (
        (Verdict.OK, Exit.OK),
        (Verdict.ADVICE, Exit.OK),
        (Verdict.SHORT, Exit.SHORT),
        (Verdict.ERROR, Exit.SHORT),
    ):
        assert exit_status(seen, [Finding("x", verdict, "y", "z")]) is status


def test_the_document_and_the_report_say_the_same(patient: Patient) -> None:
    seen = patient.evidence()
    lines = judge(seen)
    document = json.loads(json.dumps(doctor_document(seen, lines)))
    assert document["stack"] == "lab"
    assert document["exit"] == 0
    assert sum(document["summary"].values()) == len(lines) == len(document["diagnoses"])
    assert document["summary"]["advice"] == sum(x.verdict is Verdict.ADVICE for x in lines)
    console = Console(width=4000, record=True, file=io.StringIO())
    doctor_report(console, seen, lines)
    text = console.export_text()
    for line in document["diagnoses"]:
        assert line["says"] in text
        assert not line["remedy"] or f"do: {line['remedy']}" in text
    assert f"{document['summary']['advice']} advice" in text


def _of(lines: tuple[Finding, ...], topic: str) -> Finding:
    return next(line for line in lines if line.about == topic)
