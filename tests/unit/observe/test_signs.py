"""What a counter's movement points at."""

from __future__ import annotations

import pytest

from stackctl.limits import TABLE, Role
from stackctl.observe.counters import parse_conntrack, parse_netstat
from stackctl.observe.signs import COUNTERS, SIGNS, Sign, movements
from tests.unit import captured


def test_every_counter_of_the_kernel_that_is_looked_at_exists() -> None:
    seen = captured.counters()
    names = {**parse_netstat(seen["netstat"]), **parse_conntrack(seen["conntrack"])}
    assert not {s.name for s in COUNTERS if not s.name.startswith("haproxy.")} - set(names)


@pytest.mark.parametrize("sign", SIGNS, ids=lambda sign: sign.name)
def test_a_sign_points_at_rows_that_exist(sign: Sign) -> None:
    assert sign.means
    assert set(sign.limits) <= set(TABLE)


def test_a_movement_points_at_the_rows_of_its_own_target() -> None:
    before, after = {"netstat.ListenOverflows": 1}, {"netstat.ListenOverflows": 5}

    def rows(role: Role | None) -> tuple[str, ...]:
        (moved,) = movements("here", role, "tcp", before, after)
        assert moved.by == 4
        return moved.limits

    assert rows(Role.HAPROXY) == ("haproxy.backlog", "net.core.somaxconn")
    assert rows(Role.TELEMT) == ("telemt.listen_backlog", "net.core.somaxconn")
    assert rows(None) == ("haproxy.backlog", "telemt.listen_backlog", "net.core.somaxconn")
    assert rows(Role.HOST) == ()


def test_what_stands_still_is_no_movement() -> None:
    assert not movements("here", None, "unix", {"conntrack.drop": 3}, {"conntrack.drop": 3})


def test_permits_that_ran_out_point_at_telemts_own_limit() -> None:
    before = {"telemt_accept_permit_timeout_total": 2, "telemt_handshake_timeouts_total": 0}
    after = {"telemt_accept_permit_timeout_total": 30, "telemt_handshake_timeouts_total": 0}
    (moved,) = movements("telemt-1", Role.TELEMT, "unix", before, after)
    assert (moved.where, moved.by) == ("telemt-1", 28)
    assert moved.limits == ("telemt.max_connections",)


def test_a_class_that_was_not_on_the_page_was_not_counted_yet() -> None:
    refused = 'telemt_connections_bad_by_class_total{class="tls_handshake_bad_client"}'
    read = {"telemt_accept_permit_timeout_total": 0}
    (moved,) = movements("telemt-1", Role.TELEMT, "unix", read, {**read, refused: 3})
    assert (moved.name, moved.by) == (refused, 3)
    # Of a page that was not read nothing is known.
    assert not movements("telemt-1", Role.TELEMT, "unix", {}, {**read, refused: 3})
