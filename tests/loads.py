"""Results of loads for tests: what `load` shows, made of given numbers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from stackctl.checks.finding import LimitFinding, Verdict
from stackctl.limits import TABLE, Depth
from stackctl.observe.signs import Movement
from stackctl.traffic.model import Load, LoadPlan, Share, Tally, Target
from stackctl.traffic.result import Gauge, LoadResult, Memory
from stackctl.traffic.run import Outcome


def finding(
    limit: str, target: str, verdict: Verdict = Verdict.OK, evidence: str = "a file says so"
) -> LimitFinding:
    """A finding of one row; its numbers mean nothing."""
    assert limit in TABLE
    bad = verdict is not Verdict.OK
    reason = "the engine grants no more" if verdict is Verdict.FITTED else ""
    remedy = "raise it" if bad else ""
    got = None if verdict is Verdict.ERROR else 4096 - bad
    return LimitFinding(
        limit,
        verdict,
        evidence,
        remedy,
        target,
        wanted=4096,
        got=got,
        depth=Depth.EFFECTIVE,
        reason=reason,
    )


FINDINGS = (
    finding("nofile", "haproxy", Verdict.FITTED),
    finding("nofile", "telemt-1"),
    finding("net.core.somaxconn", "haproxy"),
    finding("net.core.somaxconn", "telemt-1", Verdict.SHORT),
    finding("haproxy.backlog", "haproxy"),
    finding("telemt.max_connections", "telemt-1"),
)

OVERFLOWS = Movement(
    "haproxy",
    "netstat.ListenOverflows",
    1312,
    "a listener's accept queue was full",
    ("haproxy.backlog", "net.core.somaxconn"),
)


def load_result(
    curve: Sequence[tuple[float, int]],
    wanted: int,
    milliseconds: Sequence[float] = (1.2, 1.4, 2.5, 2.6, 2.7, 40, 950),
    failed: Mapping[str, int] | None = None,
    stack: str = "lab",
    problems: tuple[str, ...] = (),
    movements: tuple[Movement, ...] = (OVERFLOWS,),
    findings: tuple[LimitFinding, ...] = FINDINGS,
) -> LoadResult:
    """A load of that many connections, with this curve of those held and these times."""
    held = curve[-1][1] if curve else 0
    tally = Tally(opened=held, held=held, failed=dict(failed or {}), opening=3.2)
    for time in milliseconds:
        tally.connect.record([int(time * 1000)])
        tally.late += time > 900
    load = Load(wanted, hold=10)
    plan = LoadPlan(load, Target("10.1.1.1", 8443), (Share(0, wanted),), (), 20.0)
    return LoadResult(
        stack=stack,
        telemt="double",
        plan=plan,
        outcome=Outcome(tally, problems, tuple(curve)),
        movements=movements,
        gauges=(Gauge("haproxy", "sockstat.TCP.inuse", 2, held, None),),
        memory=(Memory("machine", 1 << 20, (1 << 20) + 17_000 * held, 17_000),),
        unread=("telemt-1: net/netstat: gone",),
        findings=findings,
    )
