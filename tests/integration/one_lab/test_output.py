"""What machines read: JSON alone on stdout, JUnit, and exit statuses that agree with them."""

from __future__ import annotations

import json
from pathlib import Path
from xml.etree import ElementTree

from ..conftest import MakeLab, started
from ..lab import Lab, until

KEYS = {"limit", "target", "wanted", "got", "verdict", "depth", "evidence", "remedy"}
VERDICTS = {"ok", "kept", "fitted", "short", "error", "skipped"}
DEPTHS = {"declared", "applied", "effective"}


def test_verify_json_is_one_object_of_the_agreed_shape(lab: Lab) -> None:
    done = lab.run("verify", "--json")
    report = json.loads(done.stdout)
    assert done.returncode == report["exit"] == 0
    assert report["stack"] == lab.name
    assert report["telemt"] in {"official", "binary", "double"}
    findings = report["findings"]
    assert findings
    for finding in findings:
        assert set(finding) == KEYS
        assert finding["verdict"] in VERDICTS
        assert finding["depth"] in DEPTHS
        assert finding["evidence"]
        assert bool(finding["remedy"]) == (finding["verdict"] != "ok"), finding
    assert set(report["summary"]) == VERDICTS
    for verdict, count in report["summary"].items():
        assert count == sum(f["verdict"] == verdict for f in findings)
    pairs = [(f["limit"], f["target"]) for f in findings]
    assert len(pairs) == len(set(pairs))


def test_every_requirement_of_the_plan_has_its_finding(lab: Lab) -> None:
    planned = json.loads(lab.run("plan", "--json").stdout)
    wanted = {(r["limit"], r["target"]) for r in planned["requirements"]}
    found = {(f["limit"], f["target"]) for f in lab.verify()["findings"]}
    assert found == wanted


def test_up_json_is_the_report_of_verify(lab: Lab) -> None:
    done = lab.run("up", "--json")
    assert done.returncode == 0, done.stderr
    assert "verifying" in done.stderr
    up, verify = json.loads(done.stdout), lab.verify()
    for report in (up, verify):
        for finding in report["findings"]:
            # What was read differs from run to run: ports, addresses, process ids.
            finding["evidence"] = ""
    assert up == verify


def test_status_json_names_every_container_and_what_haproxy_thinks(lab: Lab) -> None:
    done = lab.run("status", "--json")
    report = json.loads(done.stdout)
    assert (done.returncode, report["exit"], report["stack"]) == (0, 0, lab.name)
    targets = [c["target"] for c in report["containers"]]
    assert targets == ["haproxy", "telemt-1", "telemt-2", "datacentre"]
    for shown in report["containers"]:
        assert shown["pid"] == lab.pid(shown["target"])
        assert (shown["state"], shown["health"]) == ("running", "healthy")
        assert shown["name"] == f"stackctl-{lab.name}-{shown['target']}"
    haproxy, *replicas, datacentre = report["containers"]
    assert haproxy["haproxy"] is datacentre["haproxy"] is None
    for replica in replicas:
        assert (replica["haproxy"]["status"], replica["haproxy"]["check_status"]) == ("UP", "L7OK")


def test_junit_counts_what_json_counts(lab: Lab, tmp_path: Path) -> None:
    file = tmp_path / "report.xml"
    done = lab.run("verify", "--json", "--junit", str(file))
    report = json.loads(done.stdout)
    suite = ElementTree.fromstring(file.read_bytes())
    assert suite.tag == "testsuite"
    assert int(suite.attrib["tests"]) == len(report["findings"]) == len(suite.findall("testcase"))
    for attribute, verdict in (("failures", "short"), ("errors", "error"), ("skipped", "skipped")):
        assert int(suite.attrib[attribute]) == report["summary"][verdict]
    assert len(suite.findall("testcase/skipped")) == report["summary"]["skipped"]


def test_a_junit_file_that_cannot_be_written_is_said_with_its_path(lab: Lab) -> None:
    done = lab.run("verify", "--junit", "no/such/folder/report.xml")
    assert done.returncode == 2
    assert "no/such/folder" in done.stderr
    assert "Traceback" not in done.stderr


def test_what_does_not_run_cannot_be_verified(make_lab: MakeLab) -> None:
    idle = make_lab()
    done = idle.run("verify")
    assert (done.returncode, done.stdout) == (1, "")
    assert idle.name in done.stderr
    assert "stackctl up" in done.stderr
    asked = idle.run("status", "--json")
    assert asked.returncode == 1
    assert json.loads(asked.stdout)["containers"] == []
    assert "stackctl up" in idle.run("status").stdout


def test_a_removed_replica_is_an_error_on_exactly_that_replica(lab: Lab) -> None:
    lab.container("telemt-2").remove(force=True)
    try:
        report = lab.verify()
        assert report["exit"] == 1
        bad = [f for f in report["findings"] if f["verdict"] in {"short", "error"}]
        assert {f["target"] for f in bad} <= {"telemt-2", "haproxy/telemt-2"}
        on_it = [f for f in report["findings"] if f["target"] == "telemt-2"]
        assert on_it
        assert {f["verdict"] for f in on_it} == {"error"}
        assert {f["got"] for f in on_it} == {None}
        assert all("telemt-2" in f["evidence"] and f["remedy"] for f in on_it)
        until(lambda: lab.run("status").returncode == 1, 60, "status notices")
        assert "1 containers are missing" in lab.run("status").stdout
    finally:
        started(lab)
