"""Whether the host's connections are tracked, out of what the probe tried."""

from __future__ import annotations

from typing import Any

import pytest

from stackctl.observe.host import conntrack_used, tracked

IN, OUT = {"value": 1}, {"value": 0}
NO_TABLE = {"error": "ENOPROTOOPT: Protocol not available"}
NO_FAMILY = {"error": "EADDRNOTAVAIL: Cannot assign requested address"}
EMPTY, SOME = {"text": "0\n"}, {"text": "12\n"}


@pytest.mark.parametrize(
    ("ipv4", "ipv6", "count", "expected"),
    [
        (IN, OUT, SOME, True),
        (OUT, IN, SOME, True),
        (OUT, OUT, EMPTY, False),
        (OUT, NO_FAMILY, EMPTY, False),
        (NO_TABLE, NO_TABLE, {"error": "ENOENT: x"}, False),
        # A rule that leaves loopback out, or one that was taken away: nobody can tell which.
        (OUT, OUT, SOME, None),
        (OUT, OUT, {"error": "EACCES: x"}, None),
        (NO_FAMILY, NO_FAMILY, EMPTY, None),
    ],
)
def test_tracked(
    ipv4: dict[str, Any], ipv6: dict[str, Any], count: dict[str, Any], expected: bool | None
) -> None:
    assert tracked({"ipv4": ipv4, "ipv6": ipv6, "count": count}) is expected


def test_a_probe_that_does_not_try_tells_nothing() -> None:
    assert tracked({}) is None


def test_entries_in_the_hosts_table_are_counted() -> None:
    assert conntrack_used({"count": {"text": "32393\n"}}) == 32_393
    assert conntrack_used({"count": {"error": "ENOENT"}}) == conntrack_used({}) == 0
