"""A diagnosis in words."""

from __future__ import annotations

import io

from rich.console import Console

from stackctl.checks.diagnose.model import Diagnosis, counter_finding, fill_finding, unread_finding
from stackctl.report.diagnose import diagnose_document, diagnose_report

GROWS = counter_finding(
    "telemt-1", "netstat.ListenDrops", 9, 4, 2.0, "a listener dropped", ("nofile",)
)
STOOD = counter_finding("host", "conntrack.drop", 5, 0, 2.0, "the table was full", ())
FULL = fill_finding("haproxy", "clients", 95, 100, "HAProxy stops accepting", ("haproxy.maxconn",))
EMPTY = fill_finding("host", "files", 1, 100, "no process can open a file", ("fs.file-max",))


def shown(everything: bool = False, **parts: tuple[object, ...]) -> str:
    given = {"counters": (), "fills": (EMPTY,), "unread": ()} | parts
    console = Console(file=io.StringIO(), width=160, color_system=None)
    diagnose_report(console, Diagnosis("lab", 2.0, **given), everything)  # type: ignore[arg-type]
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def test_all_well() -> None:
    text = shown()
    assert "nothing is being refused, and nothing is full; the fullest is files on host, 1%" in text
    assert "no process can open a file" not in text
    assert "no process can open a file" in shown(everything=True)


def test_what_grows_and_what_is_full_are_told_with_their_rows() -> None:
    text = shown(counters=(GROWS, STOOD), fills=(FULL, EMPTY))
    assert "1 of the counters grow now, 1 limits are nearly full" in text
    line = next(line for line in text.splitlines() if "netstat.ListenDrops" in line)
    assert line.split()[1:4] == ["telemt-1", "9", "2.0"]
    assert "nofile" in line
    assert "95%" in text
    assert "stackctl limits KEY" in text


def test_unread_is_not_well() -> None:
    text = shown(unread=(unread_finding("telemt-2 does not run"),))
    assert "not read: telemt-2 does not run" in text
    assert "nothing is being refused" not in text


def test_the_document_has_everything() -> None:
    document = diagnose_document(Diagnosis("lab", 2.0, (GROWS,), (FULL, EMPTY), ()))
    assert document["exit"] == 1
    assert document["counters"][0]["per_second"] == 2.0
    assert [fill["nearly"] for fill in document["fills"]] == [True, False]
    assert document["fills"][0]["share"] == 0.95
