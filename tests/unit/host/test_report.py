"""What prepare.sh says under --porcelain, read and shown."""

from __future__ import annotations

import json
from io import StringIO

import pytest
from rich.console import Console

from stackctl.checks.finding import Verdict
from stackctl.errors import Exit, HostError
from stackctl.host.report import HostReport, read_report
from stackctl.report.host import host_document, host_junit, host_report
from stackctl.report.jsontext import to_json

SAID = """\
change\tset sysctl net.core.somaxconn: 4096 -> 65535
note\tnothing else
advice\teth0\t4 CPUs but 1 receive queue
finding\tok\tnet.core.somaxconn\t65535\t65535\tapplied\trunning 65535; at boot 65535 from /etc/x\t-
finding\tkept\tfs.file-max\t2097152\t9223372036854775807\tapplied\trunning\t-
finding\tshort\tnet.ipv4.tcp_wmem\t4096 65536 16777216\t-\tapplied\tno such key\tapply
finding\tshort\tengine.tasks\tinfinity\tinfinity\tapplied\tno systemd on this host\tgive it
end\t1
"""


def report(text: str = SAID) -> HostReport:
    return read_report(text, "edge", "apply", dry=False)


def test_findings_are_those_of_verify() -> None:
    ok, kept, short, tasks = report().findings
    assert (ok.limit, ok.target, ok.wanted, ok.got) == ("net.core.somaxconn", "host", 65535, 65535)
    assert (ok.verdict, ok.remedy) == (Verdict.OK, "")
    assert (kept.verdict, kept.got) == (Verdict.KEPT, 2**63 - 1)
    assert (short.wanted, short.got) == ((4096, 65536, 16777216), None)
    assert (short.verdict, short.evidence) == (Verdict.SHORT, "no such key")
    assert tasks.wanted == tasks.got == 2**63 - 1


def test_changes_notes_and_advice_are_kept_apart() -> None:
    found = report()
    assert found.changes == ("set sysctl net.core.somaxconn: 4096 -> 65535",)
    assert found.notes == ("nothing else",)
    assert found.advice == (("eth0", "4 CPUs but 1 receive queue"),)
    assert found.status is Exit.SHORT


@pytest.mark.parametrize("cut", range(1, SAID.count("\n") + 1))
def test_what_was_cut_off_is_an_error_and_never_a_shorter_report(cut: int) -> None:
    text = "".join(SAID.splitlines(keepends=True)[:-cut])
    with pytest.raises(HostError, match="did not finish"):
        report(text)


@pytest.mark.parametrize(
    "text",
    [
        SAID + SAID,
        SAID + "finding\tok\n",
        SAID.replace("end\t1", "end\t7"),
        "Welcome to edge!\n" + SAID,
        SAID.replace("\tkept\t", "\tfine\t"),
        SAID.replace("\tapplied\trunning\t-", "\tapplied\t-"),
    ],
    ids=["twice", "after the end", "status", "banner", "verdict", "fields"],
)
def test_what_prepare_sh_does_not_say_is_refused(text: str) -> None:
    with pytest.raises(HostError) as raised:
        report(text)
    assert raised.value.remedy
    assert raised.value.exit_code is Exit.UNREACHABLE


def test_json_has_the_findings_in_verifys_shape() -> None:
    made = json.loads(to_json(host_document("lab", report())))
    assert made["host"] == "edge"
    assert made["exit"] == 1
    assert made["summary"]["kept"] == 1
    assert made["findings"][0] == {
        "limit": "net.core.somaxconn",
        "target": "host",
        "wanted": 65535,
        "got": 65535,
        "verdict": "ok",
        "depth": "applied",
        "evidence": "running 65535; at boot 65535 from /etc/x",
        "remedy": "",
    }


def test_junit_counts_what_is_short() -> None:
    text = host_junit("lab", report())
    assert 'tests="4"' in text
    assert 'failures="2"' in text
    assert 'classname="lab.host"' in text


def test_people_see_changes_findings_remedies_and_the_count() -> None:
    out = StringIO()
    host_report(Console(file=out, width=140), "lab", report())
    text = out.getvalue()
    for part in ("set sysctl", "note: nothing", "eth0: 4 CPUs", "do:   give it", "1 ok, 1 kept"):
        assert part in text
    assert "NOT proven" in text


def test_a_dry_run_says_would() -> None:
    out = StringIO()
    found = read_report("change\twrite /etc/x\nend\t0\n", "edge", "apply", dry=True)
    host_report(Console(file=out, width=140), "lab", found)
    assert "would write /etc/x" in out.getvalue()
    assert "NOT proven" not in out.getvalue()
