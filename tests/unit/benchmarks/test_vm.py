"""What the benchmark of a whole machine makes of a load that was held and verified."""

from __future__ import annotations

from typing import Any

from benchmarks.vm import POINTS, figures, figures_of, thinned
from tests.vm.loading import NOT_A_SINKS, Held, bytes_each

SAID = {
    "asked": {"connections": 1000},
    "opened": 1000,
    "failed": {},
    "lost": {"reset": {"count": 3}},
    "held": 997,
    "memory": [
        {"where": "machine", "each": 20_000},
        {"where": "haproxy", "each": 3_500},
        {"where": "telemt-1", "each": 400},
        {"where": "load", "each": 600},
    ],
    "curve": [[0.5, 10], [1.0, 1000]],
    **dict.fromkeys(("late", "opening_s", "connect_ms", "gauges", "counters", "sources")),
    "processes": 2,
}


def finding(limit: str, verdict: str) -> dict[str, str]:
    return {"limit": limit, "verdict": verdict, "evidence": "seen"}


def held(*findings: dict[str, str]) -> dict[str, Any]:
    verified = {"findings": findings, "summary": {"ok": 100}}
    return figures_of(Held(SAID, verified, verifying=21.4, hold=240))


def test_the_memory_of_sinks_and_of_the_load_is_left_out() -> None:
    assert bytes_each(SAID) == 20_000 - 400 - 600


def test_lost_connections_and_short_limits_are_not_reached() -> None:
    rows = [finding("nofile", "short"), *(finding(limit, "short") for limit in NOT_A_SINKS)]
    missing, short, memory = figures(held(*rows))
    assert (missing.value, missing.reached) == (3, False)
    assert (short.value, short.reached) == (1, False)
    assert "nofile" in short.reason
    assert memory.reached


def test_the_two_rows_of_handshakes_are_no_figure() -> None:
    rows = [finding(limit, "short") for limit in NOT_A_SINKS]
    assert figures(held(*rows))[1].reached


def test_a_thinned_curve_keeps_its_last_point() -> None:
    curve = [[second, second * 100] for second in range(2001)]
    thin = thinned(curve)
    assert len(thin) <= POINTS + 1
    assert thin[-1] == [2000, 200_000]
