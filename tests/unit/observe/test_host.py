"""Whether the host's connections are tracked, out of what the collector tried."""

from __future__ import annotations

import pytest

from stackctl.collector.answer import Reading, Tracking
from stackctl.observe.host import conntrack_used, tracked

IN: Reading[int] = Reading(1)
OUT: Reading[int] = Reading(0)
NO_TABLE: Reading[int] = Reading(error="ENOPROTOOPT: Protocol not available")
NO_FAMILY: Reading[int] = Reading(error="EADDRNOTAVAIL: Cannot assign requested address")
EMPTY, SOME = Reading("0\n"), Reading("12\n")


@pytest.mark.parametrize(
    ("ipv4", "ipv6", "count", "expected"),
    [
        (IN, OUT, SOME, True),
        (OUT, IN, SOME, True),
        (OUT, OUT, EMPTY, False),
        (OUT, NO_FAMILY, EMPTY, False),
        (NO_TABLE, NO_TABLE, Reading(error="ENOENT: x"), False),
        # A rule that leaves loopback out, or one that was taken away: nobody can tell which.
        (OUT, OUT, SOME, None),
        (OUT, OUT, Reading(error="EACCES: x"), None),
        (NO_FAMILY, NO_FAMILY, EMPTY, None),
    ],
)
def test_tracked(
    ipv4: Reading[int], ipv6: Reading[int], count: Reading[str], expected: bool | None
) -> None:
    assert tracked(Tracking(ipv4, ipv6, count)) is expected


def test_entries_in_the_hosts_table_are_counted() -> None:
    assert conntrack_used(Tracking(IN, OUT, Reading("32393\n"))) == 32_393
    assert conntrack_used(Tracking(IN, OUT, Reading(error="ENOENT"))) == 0
