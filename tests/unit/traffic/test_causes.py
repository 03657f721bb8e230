"""Which limits the cause of a failure points at."""

from __future__ import annotations

import pytest

from stackctl.limits import TABLE
from stackctl.observe.signs import Sign
from stackctl.traffic.causes import CAUSES, cause_sign
from stackctl.traffic.errors import CAUSES as ERRNO_CAUSES


@pytest.mark.parametrize("sign", CAUSES, ids=lambda sign: sign.name)
def test_a_cause_points_at_rows_that_exist(sign: Sign) -> None:
    assert sign.means
    assert set(sign.limits) <= set(TABLE)


def test_every_cause_has_words() -> None:
    assert {sign.name for sign in CAUSES} >= set(ERRNO_CAUSES.values()) - {"unreachable"}
    assert cause_sign("no-port").limits == ("net.ipv4.ip_local_port_range",)
    assert cause_sign("eproto").means == "an error by the kernel's own name"
