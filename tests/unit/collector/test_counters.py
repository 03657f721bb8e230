"""Which series of a metrics page are refusals."""

from __future__ import annotations

from stackctl.collector.counters import totals

PAGE = """\
# TYPE telemt_connections_bad_by_class_total counter
telemt_connections_bad_by_class_total{class="proxy_protocol_untrusted"} 4
telemt_connections_bad_by_class_total{class="other"} x
telemt_connections_total 12
telemt_accept_permit_timeout_total 1
telemt_upstream_connect_fail_total 0
"""


def test_refusals_and_nothing_else() -> None:
    assert totals(PAGE) == {
        'telemt_connections_bad_by_class_total{class="proxy_protocol_untrusted"}': 4.0,
        "telemt_accept_permit_timeout_total": 1.0,
        "telemt_upstream_connect_fail_total": 0.0,
    }


def test_no_page_has_none() -> None:
    assert totals("") == {}
