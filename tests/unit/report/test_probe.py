"""Handshakes as people and machines read them."""

from __future__ import annotations

import io
import json

from rich.console import Console

from stackctl.collector.answer import Step
from stackctl.handshake.cause import Cause
from stackctl.handshake.stack import Probed
from stackctl.handshake.stack_records import StackHandshake
from stackctl.report.probe import SHOWN, probe_document, probe_report

HOPS = (Step("connect", 0.12), Step("proxy", 0.07), Step("tls", 15.4), Step("answer", 3.21))
GOOD = StackHandshake("telemt-1", "alice", "tls", HOPS, "", "", "telemt-1", True, "its log", None)
CAUSE = Cause("wrong-secret", "telemt-2 runs with another secret\x1b[0m", "start it again")
BAD = StackHandshake(
    "telemt-2", "bob", "secure", HOPS[:2], "answer", "closed", "telemt-2", None, "", CAUSE
)


def text(probed: Probed) -> str:
    out = io.StringIO()
    probe_report(Console(file=out, width=160, no_color=True, highlight=False), probed)
    return out.getvalue()


def test_a_table_of_hops_and_then_the_causes() -> None:
    shown = text(Probed("lab", "double", (GOOD, BAD)))
    good = next(line for line in shown.splitlines() if " alice " in line)
    assert good.split() == [
        *("telemt-1", "alice", "tls", "telemt-1"),
        *("0.1", "ms", "0.1", "ms", "15.4", "ms", "3.2", "ms", "seen", "answered"),
    ]
    bad = next(line for line in shown.splitlines() if " bob " in line)
    assert bad.split()[-4:] == ["-", "failed", "-", "wrong-secret"]
    assert "DOUBLE" in shown
    assert "  bob secure at telemt-2: telemt-2 runs with another secret" in shown
    assert "\x1b" not in shown
    assert "  do: start it again" in shown
    assert "1 of 2 handshakes succeeded" in shown


def test_one_cause_with_much_evidence_is_cut_short() -> None:
    many = tuple(
        StackHandshake(f"telemt-{n}", "bob", "tls", (), "tls", "x", "", None, "",
                  Cause("down", f"telemt-{n} is down", "start it"))
        for n in range(SHOWN + 3)
    )  # fmt: skip
    shown = text(Probed("lab", "binary", many))
    assert shown.count("do: start it") == 1
    assert "and 3 more" in shown


def test_the_clock_has_a_line_of_its_own() -> None:
    shown = text(Probed("lab", "binary", (GOOD,), ahead=300.0))
    assert "links of mode tls: the clock of the engine's host is 300 s ahead of" in shown


def test_json() -> None:
    found = json.loads(json.dumps(probe_document(Probed("lab", "double", (GOOD, BAD), 0.04))))
    good, bad = found["handshakes"]
    assert good["ms"] == {"connect": 0.12, "proxy": 0.07, "tls": 15.4, "answer": 3.21}
    assert (good["own_address"], good["cause"], good["ended"]) == (True, None, "")
    assert (bad["ended"], bad["seen"], bad["own_address"]) == ("answer", "closed", None)
    assert bad["cause"]["word"] == "wrong-secret"
    assert found["clock"] == {"ahead_seconds": 0.0, "cause": None}
    assert (found["stack"], found["telemt"], found["exit"]) == ("lab", "double", 1)
    assert probe_document(Probed("lab", "double", (GOOD,)))["exit"] == 0
