"""What all limits together come to on the captured host."""

from __future__ import annotations

from dataclasses import replace

import pytest

from stackctl.checks.doctor import Evidence
from stackctl.checks.doctor.capacity import capacity
from stackctl.checks.finding import Verdict
from stackctl.collector.answer import Unread

from .conftest import Patient


def test_a_host_that_holds_the_number_says_what_would_come_next(patient: Patient) -> None:
    patient.stack["replicas"] = 3
    line = patient.line("capacity")
    assert patient.verdicts("capacity") == ["ok"]
    assert line.evidence.startswith(
        "holds 8,000 connections; first limit: haproxy.frontend_maxconn of haproxy"
    )
    assert "then " in line.evidence


def test_the_hosts_table_is_what_ends_it(patient: Patient) -> None:
    patient.sysctl("net.netfilter.nf_conntrack_max", "9000")
    line = patient.line("capacity")
    assert line.verdict is Verdict.SHORT
    assert (
        "holds 4,500 connections; first limit: net.netfilter.nf_conntrack_max of host"
        in line.evidence
    )
    assert "stackctl host apply" in line.remedy


def test_memory_is_advice(patient: Patient) -> None:
    seen = patient.evidence()
    assert seen.plan is not None
    low = replace(seen.plan.ceilings[0], limit="memory", where="host", holds=7000)
    short = replace(seen, plan=replace(seen.plan, ceilings=(low, *seen.plan.ceilings)))
    (line,) = capacity(short)
    assert line.verdict is Verdict.ADVICE
    assert "add memory" in line.remedy


def test_of_an_unknown_host_nothing_is_said(patient: Patient) -> None:
    seen: Evidence = replace(patient.evidence(), host=None)
    with pytest.raises(Unread, match="not known"):
        list(capacity(seen))
