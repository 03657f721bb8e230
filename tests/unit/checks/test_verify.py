"""One requirement and what was read of it → one finding."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stackctl.checks.finding import OF_LIMITS, LimitFinding, Verdict, exit_status, summary
from stackctl.checks.verify import judge, sentence, verify
from stackctl.errors import Exit
from stackctl.limits import TABLE, Depth, Value
from stackctl.observe.observed import Observed
from stackctl.plan import Plan, Requirement, make_plan
from stackctl.spec import Stack

LEFT = "a lab leaves the host as it is"
FITTED = "this engine can grant at most 20000, not 1048576"


def required(limit: str, wanted: Value | None = None, **more: str) -> Requirement:
    value = TABLE[limit].wanted if wanted is None else wanted
    assert value is not None
    return replace(Requirement(limit, "haproxy", value), **more)  # type: ignore[arg-type]


def seen(*values: Value | None) -> list[Observed]:
    return [
        Observed(value, f"reading {number}: {value}")
        if value is not None
        else Observed(None, "", f"reading {number}: no such file")
        for number, value in enumerate(values, start=1)
    ]


def planned(**keys: object) -> Plan:
    return make_plan(Stack.model_validate({"name": "lab", "connections": 8000, **keys}))


SOMAXCONN = "net.core.somaxconn"
PORTS = "net.ipv4.ip_local_port_range"
RMEM = "net.ipv4.tcp_rmem"


class TestOk:
    @pytest.mark.parametrize(
        ("limit", "values", "got"),
        [
            ("nofile", [(1048576, 1048576)], (1048576, 1048576)),
            ("nofile", [(2**31, 2**31)], (2**31, 2**31)),
            (SOMAXCONN, [65535, 65535], 65535),
            (SOMAXCONN, [65536, 100000], 100000),
            ("net.ipv4.tcp_syncookies", [1], 1),
            ("haproxy.check", ["L7OK"], "L7OK"),
            ("telemt.ready", ["ready"], "ready"),
        ],
    )
    def test_what_is_in_force_is_ok(self, limit: str, values: list[Value], got: Value) -> None:
        finding = judge(required(limit), seen(*values))
        assert finding.verdict is Verdict.OK
        assert finding.got == got
        assert finding.remedy == ""

    def test_depth_is_the_deepest_there_is(self) -> None:
        for limit, values in ((SOMAXCONN, (65535, 65535)), ("nofile", ((2**30, 2**30),))):
            assert judge(required(limit), seen(*values)).depth is TABLE[limit].depth

    def test_evidence_is_of_every_reading(self) -> None:
        finding = judge(required(SOMAXCONN), seen(65535, 70000))
        assert finding.evidence == "reading 1: 65535; reading 2: 70000"

    def test_target_limit_and_wanted_are_the_requirements(self) -> None:
        requirement = replace(required("pids", 512), target="telemt-7")
        finding = judge(requirement, seen(512))
        assert (finding.limit, finding.target, finding.wanted) == ("pids", "telemt-7", 512)


class TestShort:
    @pytest.mark.parametrize(
        ("limit", "values", "got", "depth"),
        [
            ("nofile", [(1048575, 1048576)], (1048575, 1048576), Depth.APPLIED),
            ("nofile", [(1048576, 1048575)], (1048576, 1048575), Depth.APPLIED),
            (SOMAXCONN, [4096, 4096], 4096, Depth.APPLIED),
            (SOMAXCONN, [65535, 4096], 4096, Depth.EFFECTIVE),
            ("net.ipv4.tcp_fin_timeout", [15, 60], 60, Depth.EFFECTIVE),
            ("net.ipv4.tcp_fin_timeout", [14, 14], 14, Depth.APPLIED),
            ("haproxy.check", ["L4OK"], "L4OK", Depth.EFFECTIVE),
            ("net.ipv4.tcp_congestion_control", ["bbr", "cubic"], "cubic", Depth.EFFECTIVE),
        ],
    )
    def test_shows_the_reading_that_decided(
        self, limit: str, values: list[Value], got: Value, depth: Depth
    ) -> None:
        finding = judge(required(limit), seen(*values))
        assert finding.verdict is Verdict.SHORT
        assert (finding.got, finding.depth) == (got, depth)
        assert finding.remedy == TABLE[limit].remedy

    def test_a_file_that_says_the_right_thing_does_not_help_a_process_that_does_not(self) -> None:
        maxconn = required("haproxy.maxconn", 8064)
        assert judge(maxconn, seen(8064, 8000)).verdict is Verdict.SHORT
        assert judge(maxconn, seen(8000, 8064)).verdict is Verdict.SHORT

    def test_a_fitted_limit_below_even_the_lowered_value_is_short(self) -> None:
        finding = judge(required("nofile", (20000, 20000), fitted=FITTED), seen((1024, 20000)))
        assert finding.verdict is Verdict.SHORT

    def test_a_value_of_another_shape_is_short(self) -> None:
        assert judge(required("nofile"), seen(1048576)).verdict is Verdict.SHORT
        assert judge(required("pids"), seen("4096")).verdict is Verdict.SHORT


class TestParts:
    def test_a_reading_of_one_part_is_held_against_that_part(self) -> None:
        whole = (4096, 131072, 16777216)
        assert judge(required(RMEM), seen(whole, 131072)).verdict is Verdict.OK
        short = judge(required(RMEM), seen(whole, 87380))
        assert (short.verdict, short.got) == (Verdict.SHORT, 87380)

    def test_an_ok_finding_shows_the_whole_value(self) -> None:
        whole = (4096, 131072, 33554432)
        finding = judge(required(RMEM), seen(whole, 131072))
        assert (finding.got, finding.depth) == (whole, Depth.EFFECTIVE)

    @pytest.mark.parametrize(
        ("range_", "given", "verdict"),
        [
            ((10000, 65535), (23456, 40000), Verdict.OK),
            ((10000, 65535), (9999, 40000), Verdict.SHORT),
            ((32768, 60999), (40000, 40000), Verdict.SHORT),
        ],
    )
    def test_a_reading_with_a_comparison_of_its_own_uses_that(
        self, range_: Value, given: Value, verdict: Verdict
    ) -> None:
        assert judge(required(PORTS), seen(range_, given)).verdict is verdict

    def test_ports_given_out_of_a_wider_range_than_wanted_are_in_force(self) -> None:
        finding = judge(required(PORTS), seen((1024, 65535), (2000, 50000)))
        assert finding.verdict is Verdict.OK

    def test_an_ok_range_shows_the_range_and_not_the_ports_given(self) -> None:
        finding = judge(required(PORTS), seen((10000, 65535), (23456, 40000)))
        assert finding.got == (10000, 65535)


class TestError:
    @pytest.mark.parametrize("values", [(None, 65535), (65535, None), (None, None), (4096, None)])
    def test_unreadable_is_never_ok_and_never_short(self, values: tuple[Value | None]) -> None:
        finding = judge(required(SOMAXCONN), seen(*values))
        assert finding.verdict is Verdict.ERROR
        assert finding.got is None
        assert "no such file" in finding.evidence
        assert finding.remedy

    @pytest.mark.parametrize("count", [0, 1, 3])
    def test_a_reading_too_few_or_too_many_is_an_error(self, count: int) -> None:
        finding = judge(required(SOMAXCONN), seen(*[65535] * count))
        assert finding.verdict is Verdict.ERROR
        assert f"{count} of 2 readings" in finding.evidence

    def test_a_value_that_came_with_an_error_is_not_trusted(self) -> None:
        finding = judge(required("pids"), [Observed(4096, "pids.max", "pid was reused")])
        assert finding.verdict is Verdict.ERROR
        assert "pid was reused" in finding.evidence

    def test_no_value_and_no_error_is_an_error(self) -> None:
        finding = judge(required("pids"), [Observed(None, "")])
        assert finding.verdict is Verdict.ERROR
        assert finding.evidence

    def test_an_error_on_a_fitted_limit_stays_an_error(self) -> None:
        assert judge(required("nofile", fitted=FITTED), seen(None)).verdict is Verdict.ERROR


class TestFitted:
    def test_a_lowered_limit_in_force_is_fitted_and_says_why(self) -> None:
        finding = judge(required("nofile", (20000, 20000), fitted=FITTED), seen((20000, 20000)))
        assert finding.verdict is Verdict.FITTED
        assert finding.reason == FITTED
        assert "reading 1" in finding.evidence
        assert finding.remedy


class TestSkipped:
    @pytest.mark.parametrize("value", [1024, None])
    def test_a_host_row_left_alone_is_skipped_with_the_reason(self, value: Value | None) -> None:
        finding = judge(required("fs.file-max", left=LEFT), seen(value))
        assert finding.verdict is Verdict.SKIPPED
        assert finding.got == value
        assert finding.reason == LEFT
        assert "reading 1" in finding.evidence

    def test_a_host_that_has_it_anyway_is_ok(self) -> None:
        finding = judge(required("fs.file-max", left=LEFT), seen(2**62))
        assert finding.verdict is Verdict.OK
        assert finding.reason == ""

    def test_a_reading_that_was_not_made_is_an_error_even_there(self) -> None:
        assert judge(required("fs.file-max", left=LEFT), []).verdict is Verdict.ERROR


class TestVerify:
    @pytest.mark.parametrize("network", ["bridge", "host"])
    @pytest.mark.parametrize("link", ["unix", "tcp"])
    def test_every_requirement_has_one_finding_in_its_order(self, network: str, link: str) -> None:
        plan = planned(network=network, link=link, replicas=3)
        findings = verify(plan, {})
        assert [(f.limit, f.target) for f in findings] == [
            (r.limit, r.target) for r in plan.requirements
        ]

    def test_nothing_observed_is_an_error_on_every_line(self) -> None:
        assert {finding.verdict for finding in verify(planned(), {})} == {Verdict.ERROR}

    def test_a_stack_that_shows_all_it_should_is_ok_throughout(self) -> None:
        plan = planned(replicas=2, limits={"mode": "strict"})
        observed = {
            (r.target, r.limit): [
                Observed(
                    r.wanted[read.part]
                    if read.part is not None and isinstance(r.wanted, tuple)
                    else r.wanted,
                    read.arg,
                )
                for read in TABLE[r.limit].reads
            ]
            for r in plan.requirements
        }
        findings = verify(plan, observed)
        assert {finding.verdict for finding in findings} == {Verdict.OK}
        assert exit_status(findings) is Exit.OK

    def test_observations_reach_the_requirement_they_are_of(self) -> None:
        plan = planned(replicas=2)
        findings = verify(plan, {("telemt-2", "pids"): seen(17)})
        short = [f for f in findings if f.verdict is Verdict.SHORT]
        assert [(f.target, f.limit, f.got) for f in short] == [("telemt-2", "pids", 17)]

    def test_observations_of_something_else_are_not_found(self) -> None:
        findings = verify(planned(), {("telemt-9", "pids"): seen(4096)})
        assert "telemt-9" not in {finding.target for finding in findings}


def found(*verdicts: Verdict) -> list[LimitFinding]:
    return [
        LimitFinding(
            "pids", verdict, "", target="haproxy", wanted=4096, got=4096, depth=Depth.APPLIED
        )
        for verdict in verdicts
    ]


@pytest.mark.parametrize(
    ("verdicts", "status"),
    [
        ([], Exit.SHORT),
        ([Verdict.OK], Exit.OK),
        ([Verdict.OK, Verdict.FITTED, Verdict.SKIPPED], Exit.OK),
        ([Verdict.OK, Verdict.SHORT], Exit.SHORT),
        ([Verdict.ERROR, Verdict.OK], Exit.SHORT),
    ],
)
def test_exit_status(verdicts: list[Verdict], status: Exit) -> None:
    assert exit_status(found(*verdicts)) is status


@settings(max_examples=60)
@given(st.lists(st.sampled_from(OF_LIMITS)))
def test_summary_counts_every_finding_once_and_names_every_verdict(
    verdicts: list[Verdict],
) -> None:
    counts = summary(found(*verdicts))
    assert set(counts) == {"ok", "kept", "fitted", "short", "error", "skipped"}
    assert sum(counts.values()) == len(verdicts)
    assert counts == {verdict.value: verdicts.count(verdict) for verdict in OF_LIMITS}


def test_a_finding_is_one_sentence() -> None:
    (short,) = found(Verdict.SHORT)
    text = sentence(replace(short, got=17))
    for part in ("short", "haproxy", "pids", "wanted 4096", "got 17", "applied"):
        assert part in text
    assert "\n" not in text
    assert "got unknown" in sentence(replace(short, got=None))
