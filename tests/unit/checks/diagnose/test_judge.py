"""Two samples, and what is made of them."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stackctl.checks.diagnose.judge import Sample, judge
from stackctl.checks.diagnose.model import Diagnosis
from stackctl.checks.diagnose.signs import FILLS
from stackctl.errors import Exit
from stackctl.limits import TABLE, Role
from stackctl.observe.signs import SIGNS

ROLES: dict[str, Role | None] = {
    "host": Role.HOST,
    "haproxy": Role.HAPROXY,
    "telemt-1": Role.TELEMT,
}
QUIET = {
    "host": {"file-nr.used": 900, "file-nr.max": 100_000, "netstat.ListenDrops": 0},
    "haproxy": {"haproxy.CurrConns": 10, "haproxy.Maxconn": 100},
    "telemt-1": {"descriptors.used": 30, "descriptors.soft": 1000},
}


def judged(
    where: str = "host",
    before: dict[str, int] | None = None,
    after: dict[str, int] | None = None,
    link: str = "unix",
    unread: tuple[str, ...] = (),
) -> Diagnosis:
    first = Sample(10.0, {**QUIET, where: {**QUIET[where], **(before or {})}})
    second = Sample(14.0, {**QUIET, where: {**QUIET[where], **(after or {})}}, unread)
    return judge("lab", link, ROLES, first, second)


def test_quiet_is_well_and_says_what_is_fullest() -> None:
    found = judged()
    assert found.exit_status is Exit.OK
    assert found.counters == ()
    assert (found.fills[0].about, found.fills[0].share) == ("connections", 0.1)
    assert found.seconds == 4.0


def test_what_grows_is_counted_by_the_second_and_points_at_its_rows() -> None:
    counter = "netstat.ListenOverflows"
    found = judged("telemt-1", {counter: 100}, {counter: 140})
    (counter,) = found.counters
    assert (counter.target, counter.total, counter.grew) == ("telemt-1", 140, 40)
    assert counter.per_second == 10.0
    assert "telemt.listen_backlog" in counter.limits
    # A row of another place is not pointed at.
    assert "haproxy.backlog" not in counter.limits
    assert found.exit_status is Exit.SHORT


def test_what_once_grew_is_shown_and_is_no_alarm() -> None:
    found = judged("host", {"conntrack.drop": 7}, {"conntrack.drop": 7})
    (counter,) = found.counters
    assert (counter.total, counter.grew) == (7, 0)
    assert found.exit_status is Exit.OK


def test_a_counter_that_began_anew_counts_from_there() -> None:
    (counter,) = judged("host", {"netstat.ListenDrops": 90}, {"netstat.ListenDrops": 3}).counters
    assert counter.grew == 3


def test_telemts_refusals_are_told_apart_by_their_class() -> None:
    series = 'telemt_connections_bad_by_class_total{class="proxy_protocol_untrusted"}'
    (counter,) = judged("telemt-1", {}, {series: 2}).counters
    assert counter.about == series
    assert counter.grew == 2


def test_other_counters_are_no_signs() -> None:
    assert judged("host", {}, {"netstat.TCPOrigDataSent": 9}).counters == ()


@pytest.mark.parametrize(("used", "nearly"), [(799, False), (800, True), (1001, True)])
def test_nearly_full_is_said_in_time(used: int, nearly: bool) -> None:
    found = judged("telemt-1", after={"descriptors.used": used})
    assert (found.exit_status is Exit.SHORT) is nearly
    assert found.fills[0].about == "descriptors"
    assert found.fills[0].limits == ("nofile",)


def test_a_queue_has_no_limit_but_none() -> None:
    found = judged("haproxy", after={"haproxy.backend.qcur": 1})
    assert found.fills[0].about == "waiting for a replica"
    assert found.exit_status is Exit.SHORT
    assert judged("haproxy", after={"haproxy.backend.qcur": 0}).exit_status is Exit.OK


def test_no_limit_is_no_fill() -> None:
    found = judged("haproxy", after={"haproxy.frontend.scur": 5, "haproxy.frontend.slim": 0})
    assert "clients" not in {fill.about for fill in found.fills}


def test_what_could_not_be_read_is_never_well() -> None:
    found = judged(unread=("telemt-1: net/netstat: no such file", "again") * 2)
    assert [f.evidence for f in found.unread] == ["telemt-1: net/netstat: no such file", "again"]
    assert found.exit_status is Exit.SHORT


def test_every_row_that_is_pointed_at_exists() -> None:
    assert not {key for sign in (*SIGNS, *FILLS) for key in sign.limits} - set(TABLE)


def test_every_fill_with_rows_points_at_one_somewhere() -> None:
    for sign in FILLS:
        wanted = [Role.HOST, Role.HAPROXY, Role.TELEMT, Role.LINK]
        assert not sign.limits or any(
            role in TABLE[key].on for key in sign.limits for role in wanted
        ), sign.name


READINGS = st.dictionaries(
    st.sampled_from(
        [sign.name for sign in SIGNS] + [s.used for s in FILLS] + [s.of for s in FILLS]
    ),
    st.integers(0, 10**12),
)


@given(READINGS, READINGS)
def test_any_readings_give_a_diagnosis(before: dict[str, int], after: dict[str, int]) -> None:
    first, second = Sample(1.0, {"host": before}), Sample(1.0, {"host": after})
    found = judge("lab", "tcp", ROLES, first, second)
    assert all(counter.grew >= 0 and counter.total > 0 for counter in found.counters)
    assert [f.share for f in found.fills] == sorted((f.share for f in found.fills), reverse=True)
    assert replace(found) == found
