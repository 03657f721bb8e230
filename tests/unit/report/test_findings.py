"""The same findings as JSON, as JUnit and for a terminal."""

from __future__ import annotations

import io
import json
from xml.etree import ElementTree

import pytest
from rich.console import Console

from stackctl.checks.finding import LimitFinding, Verdict
from stackctl.limits import INFINITY, TABLE, Depth, Value
from stackctl.plan import Plan, Sources, make_plan
from stackctl.report.document import document, junit
from stackctl.report.group import lines
from stackctl.report.jsontext import plain, to_json
from stackctl.report.terminal import findings_report
from stackctl.spec import Stack

REASON = "a lab leaves the host as it is; `limits.mode: strict` and host/ are for production"
CEILING = "this engine can grant at most 20000, not 1048576"


def planned(telemt: str = "official", **keys: object) -> Plan:
    stack = {"name": "lab", "connections": 8000, "replicas": 2, **keys}
    return make_plan(Stack.model_validate(stack), None, Sources(telemt, "build"))


def finding(
    limit: str,
    target: str,
    verdict: Verdict,
    got: Value | None,
    evidence: str,
    depth: Depth = Depth.APPLIED,
    reason: str = "",
) -> LimitFinding:
    wanted = TABLE[limit].wanted
    assert wanted is not None
    remedy = "" if verdict is Verdict.OK else TABLE[limit].remedy
    return LimitFinding(
        limit,
        verdict,
        evidence,
        remedy,
        target,
        wanted=wanted,
        got=got,
        depth=depth,
        reason=reason,
    )


FINDINGS = (
    finding("nofile", "haproxy", Verdict.FITTED, (20000, 20000), "/proc/7/limits", reason=CEILING),
    finding("pids", "telemt-1", Verdict.OK, 4096, "pids.max of telemt-1"),
    finding("pids", "telemt-2", Verdict.OK, 4096, "pids.max of telemt-2"),
    finding("net.core.somaxconn", "telemt-1", Verdict.SHORT, 4096, "somaxconn 4096"),
    finding("net.ipv4.tcp_syncookies", "haproxy", Verdict.ERROR, None, "permission denied"),
    finding("engine.tasks", "host", Verdict.SKIPPED, 4915, "pids.max 4915", reason=REASON),
)


def shown(
    findings: tuple[LimitFinding, ...] = FINDINGS, plan: Plan | None = None, verbose: bool = False
) -> str:
    stream = io.StringIO()
    # Wide, so that no sentence is broken where the test looks for it.
    console = Console(file=stream, width=600, color_system=None, force_terminal=False)
    findings_report(console, plan or planned(), findings, verbose)
    return stream.getvalue()


class TestDocument:
    def test_has_the_shape_that_machines_were_promised(self) -> None:
        made = document(planned("double"), FINDINGS)
        assert {"findings", "summary", "stack", "telemt", "exit"} <= set(made)
        assert made["stack"] == "lab"
        assert made["telemt"] == "double"
        assert made["exit"] == 1
        assert made["summary"] == {
            "ok": 2,
            "kept": 0,
            "fitted": 1,
            "short": 1,
            "error": 1,
            "skipped": 1,
        }
        for entry in made["findings"]:
            assert list(entry) == [
                "limit",
                "target",
                "wanted",
                "got",
                "verdict",
                "depth",
                "evidence",
                "remedy",
            ]
            assert entry["verdict"] in made["summary"]
            assert entry["depth"] in {"declared", "applied", "effective"}

    def test_survives_json(self) -> None:
        made = document(planned(), FINDINGS)
        assert json.loads(to_json(made)) == made

    def test_tells_unknown_from_zero(self) -> None:
        zero = finding("net.ipv4.tcp_syncookies", "haproxy", Verdict.SHORT, 0, "0")
        made = document(planned(), (zero, FINDINGS[4]))["findings"]
        assert [entry["got"] for entry in made] == [0, None]

    def test_without_findings_is_not_a_success(self) -> None:
        assert document(planned(), ())["exit"] == 1

    def test_ends_well_where_all_is_well(self) -> None:
        assert document(planned(), FINDINGS[:3])["exit"] == 0

    @pytest.mark.parametrize(
        ("value", "spelled"),
        [
            (65535, 65535),
            ("bbr", "bbr"),
            (INFINITY, "infinity"),
            ((1024, INFINITY), [1024, "infinity"]),
            ((4096, 65536, 16777216), [4096, 65536, 16777216]),
        ],
    )
    def test_spells_values_as_json_can(self, value: Value, spelled: object) -> None:
        assert plain(value) == spelled


class TestJunit:
    @staticmethod
    def suite(findings: tuple[LimitFinding, ...] = FINDINGS) -> ElementTree.Element:
        root = ElementTree.fromstring(junit(planned("double"), findings))
        return root if root.tag == "testsuite" else root[0]

    def test_counts_agree_with_the_cases(self) -> None:
        suite = self.suite()
        counts = {key: int(suite.get(key, "-1")) for key in ("tests", "failures", "errors")}
        assert counts == {"tests": 6, "failures": 1, "errors": 1}
        assert suite.get("skipped") == "1"
        assert len(suite.findall("testcase")) == 6
        for kind in ("failure", "error", "skipped"):
            assert len(suite.findall(f"testcase/{kind}")) == 1

    def test_counts_each_verdict_as_its_own(self) -> None:
        short, error, skipped = FINDINGS[3:]
        suite = self.suite((short,) * 2 + (error,) * 3 + (skipped,) * 4)
        assert [suite.get(key) for key in ("tests", "failures", "errors", "skipped")] == [
            "9",
            "2",
            "3",
            "4",
        ]

    def test_names_each_limit_on_each_target(self) -> None:
        names = [(case.get("classname"), case.get("name")) for case in self.suite()]
        assert names == [(f"lab.{f.target}", f.limit) for f in FINDINGS]

    def test_a_failure_says_what_was_wanted_seen_and_to_be_done(self) -> None:
        (failure,) = self.suite().findall("testcase/failure")
        assert failure.get("message") == "wanted 65535, got 4096"
        assert "somaxconn 4096" in (failure.text or "")
        assert TABLE["net.core.somaxconn"].remedy in (failure.text or "")

    def test_says_which_telemt_ran(self) -> None:
        assert "double" in self.suite().get("name", "")

    @pytest.mark.parametrize(
        "evidence",
        ['a < b & "c" > d', "žluťoučký kůň", "]]>", "\x1b[31mfatal\x1b[0m", "nul \x00 byte"],
    )
    def test_any_evidence_makes_xml_that_parses(self, evidence: str) -> None:
        broken = finding("pids", "telemt-1", Verdict.ERROR, None, evidence)
        assert len(self.suite((broken,))) == 1

    def test_of_nothing_is_a_suite_of_nothing(self) -> None:
        assert self.suite(()).get("tests") == "0"


class TestTerminal:
    def test_says_what_stack_it_is(self) -> None:
        text = shown()
        for part in ("lab", "8000", "2 replicas", "bridge", "unix", "fit"):
            assert part in text.splitlines()[0]

    @pytest.mark.parametrize(("telemt", "said"), [("double", True), ("official", False)])
    def test_says_loudly_that_the_double_runs(self, telemt: str, said: bool) -> None:
        text = shown(plan=planned(telemt))
        assert ("DOUBLE (not Telemt" in text.splitlines()[1]) == said
        assert ("DOUBLE" in text) == said

    @pytest.mark.parametrize("bad", FINDINGS[3:5], ids=lambda f: f.verdict.value)
    def test_says_what_was_seen_and_what_to_do_where_it_is_not_ok(self, bad: LimitFinding) -> None:
        text = shown()
        assert bad.remedy in text
        assert bad.evidence in text
        assert f"{bad.verdict.value}  {bad.limit} on {bad.target}" in text

    def test_says_every_remedy_when_asked_for_more(self) -> None:
        text = shown(verbose=True)
        for each in FINDINGS:
            assert each.remedy in text

    def test_says_why_a_limit_was_fitted(self) -> None:
        assert f"fitted: nofile: {CEILING}" in shown()

    def test_says_the_whole_reason_why_a_row_was_skipped(self) -> None:
        assert f"skipped: engine.tasks: {REASON}" in shown()

    def test_shows_targets_that_say_the_same_on_one_line(self) -> None:
        assert "telemt-1..2" in shown()
        assert len([line for line in shown().splitlines() if line.lstrip().startswith("pids")]) == 1

    def test_counts(self) -> None:
        assert "2 ok, 1 fitted, 1 short, 1 error, 1 skipped" in shown()

    @pytest.mark.parametrize(
        ("findings", "proven"), [(FINDINGS, False), (FINDINGS[:3], True), ((), False)]
    )
    def test_says_whether_it_is_proven(
        self, findings: tuple[LimitFinding, ...], proven: bool
    ) -> None:
        assert ("NOT proven" in shown(findings)) == (not proven)

    def test_of_nothing_says_so(self) -> None:
        assert "nothing was found" in shown(())

    def test_text_that_looks_like_markup_is_shown_as_it_is(self) -> None:
        odd = finding("pids", "telemt-1", Verdict.SHORT, 17, "[bold]17[/bold] [/x] of [0]")
        assert "[bold]17[/bold] [/x] of [0]" in shown((odd,))


class TestGroups:
    def test_join_what_says_the_same_and_nothing_else(self) -> None:
        names = [line.targets for line in lines(FINDINGS)]
        assert names == ["haproxy", "telemt-1..2", "telemt-1", "haproxy", "host"]

    @pytest.mark.parametrize(
        "other",
        [
            finding("pids", "telemt-2", Verdict.SHORT, 4096, ""),
            finding("pids", "telemt-2", Verdict.OK, 4097, ""),
            finding("pids", "telemt-2", Verdict.OK, 4096, "", Depth.EFFECTIVE),
            finding("nproc", "telemt-2", Verdict.OK, 4096, ""),
        ],
    )
    def test_keep_apart_what_differs(self, other: LimitFinding) -> None:
        assert len(lines((FINDINGS[1], other))) == 2

    def test_lose_no_target(self) -> None:
        many = [finding("pids", f"telemt-{n}", Verdict.OK, 4096, "") for n in (3, 1, 2, 12, 7)]
        assert [line.targets for line in lines(many)] == ["telemt-1..3,7,12"]
