"""The page of a load as text: what stands in it, and what must not."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from html.parser import HTMLParser

import pytest

from loads import FINDINGS, finding, load_result
from stackctl.checks.finding import Verdict
from stackctl.observe.signs import Movement
from stackctl.report.limitmarks import limit_rows
from stackctl.report.page import binned, load_page
from stackctl.traffic.result import LoadResult

WHEN = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
CURVE = ((0.2, 400), (0.4, 1000), (10.4, 1000))
GOOD = load_result(CURVE, 1000)
WRONG = "<script>alert('x')</script> & \x1b[31m"


class Read(HTMLParser):
    """The words of a page, and its tags with their attributes; charts apart."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.words: list[str] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        if not self.tags or self.tags[-1][0] != "style":
            self.words += data.split()

    @property
    def text(self) -> str:
        return " ".join(self.words)


def page(result: LoadResult) -> str:
    return load_page(result, WHEN)


@pytest.mark.parametrize(
    ("result", "verdict"),
    [
        (GOOD, "HELD: all 1,000 connections were opened and held for 10 s"),
        (
            load_result(CURVE, 2000),
            "NOT HELD: of 2,000 connections 1,000 were opened and 1,000 were still there",
        ),
    ],
)
def test_the_verdict_is_first(result: LoadResult, verdict: str) -> None:
    body = page(result).partition("<body>")[2]
    assert Read(body).text.startswith(verdict)
    assert verdict.partition(":")[0] in page(result).partition("<title>")[2].partition("<")[0]


def test_numbers_stand_in_words_too() -> None:
    text = Read(page(GOOD)).text
    assert "Opened: 1,000 of 1,000, in turn, in 3.2 s." in text
    assert "Late, over 900 ms: 1." in text
    assert "the slowest 950.0 ms" in text
    assert "Memory of the whole machine: 17,000 bytes a connection." in text
    assert "2026-01-02 03:04:05 UTC" in text
    assert "telemt-1: net/netstat: gone" in text


def test_a_failure_says_where_to_look() -> None:
    result = load_result(CURVE, 1500, failed={"no-port": 500}, problems=("process 7 ended",))
    text = Read(page(result)).text
    assert "500 failed to open, no-port: no source port was left." in text
    assert "Look at net.ipv4.ip_local_port_range." in text
    assert "process 7 ended" in text


def test_every_text_is_escaped_and_printable() -> None:
    result = load_result(
        CURVE,
        2000,
        stack=WRONG,
        failed={WRONG: 1},
        problems=(WRONG,),
        findings=(finding("nofile", "haproxy", Verdict.ERROR, WRONG),),
        movements=(Movement(WRONG, WRONG, 1, WRONG, ()),),
    )
    made = page(result)
    assert "<script" not in made
    assert "\x1b" not in made
    assert made.count("&lt;script&gt;alert(&#39;x&#39;)&lt;/script&gt; &amp;") == 8
    assert not {tag for tag, _ in Read(made).tags} & {"script", "link", "img", "iframe", "object"}


def test_nothing_is_fetched() -> None:
    made = page(GOOD)
    assert set(re.findall(r"https?://[^\"'<\s]*", made)) == {"http://www.w3.org/2000/svg"}
    assert not re.search(r"@import|url\(|\ssrc=|\shref=|\son[a-z]+=", made)
    policy = [a["content"] for tag, a in Read(made).tags if a.get("http-equiv")]
    assert policy == ["default-src 'none'; style-src 'unsafe-inline'"]


def test_the_limits_that_a_counter_points_at_are_first_and_marked() -> None:
    rows = limit_rows(GOOD)
    mark = ("netstat.ListenOverflows +1,312 in haproxy",)
    marked = [(row.limit, row.on) for row in rows if row.marks == mark]
    assert marked == [("net.core.somaxconn", "haproxy"), ("haproxy.backlog", "haproxy")]
    # Then what is not in force, then the rest in the table's order.
    rest = [(row.limit, row.on, row.verdict) for row in rows[2:]]
    assert rest[0] == ("net.core.somaxconn", "telemt-1", "short")
    assert [limit for limit, _, _ in rest[1:]] == ["nofile", "nofile", "telemt.max_connections"]
    assert page(GOOD).count('<tr class="marked">') == 2


def test_each_limit_has_its_values_verdict_and_what_to_do() -> None:
    short = next(row for row in limit_rows(GOOD) if row.verdict == "short")
    assert (short.wanted, short.observed, short.style, short.note) == (
        "4096",
        "4095",
        "bad",
        "raise it",
    )
    # Said once for all of them, above the table.
    assert page(GOOD).count("fitted, 1: the engine grants no more") == 1
    assert "4 ok, 1 fitted, 1 short" in Read(page(GOOD)).text


def test_a_failure_points_at_its_rows_wherever_they_are() -> None:
    result = load_result(CURVE, 1500, failed={"answer-timeout": 500}, movements=())
    marked = {(row.limit, row.on) for row in limit_rows(result) if row.marks}
    assert marked == {
        ("nofile", "haproxy"),
        ("nofile", "telemt-1"),
        ("telemt.max_connections", "telemt-1"),
    }


def test_a_counter_of_a_shared_namespace_points_at_all_rows_of_its_keys() -> None:
    moved = Movement("host", "netstat.ListenDrops", 2, "dropped", ("net.core.somaxconn",))
    (row, *rest) = limit_rows(load_result(CURVE, 1000, movements=(moved,)))
    assert row.marks == ("netstat.ListenDrops +2 in host",)
    assert [r.limit for r in (row, *rest) if r.marks] == ["net.core.somaxconn"] * 2


def test_where_nothing_points_at_a_limit_it_says_so() -> None:
    text = Read(page(load_result(CURVE, 1000, movements=()))).text
    assert "No counter and no failure of this load points at any limit." in text
    assert "Counters that moved" not in text


def test_without_findings_it_says_who_reads_them() -> None:
    assert "stackctl verify" in Read(page(load_result(CURVE, 1000, findings=()))).text
    assert FINDINGS


def test_bins_cover_every_time_and_late_ones_stand_apart() -> None:
    steps = ((1, 1), (1_200, 2), (1_500, 1), (1_501, 4), (900_000, 8), (900_001, 16), (10**12, 32))
    bins = binned(steps)
    assert sum(bins.values()) == 64
    assert (bins["to 0.01"], bins["1 to 1.5"], bins["1.5 to 2"]) == (1, 3, 4)
    assert (bins["700 to 900"], bins["900 to 1500"]) == (8, 16)
    assert list(bins)[-1].startswith("over ")
    assert binned(()) == {}


def test_a_load_of_which_nothing_was_held_has_a_page_too() -> None:
    text = Read(page(load_result((), 5, milliseconds=(), failed={"refused": 5}))).text
    assert "none was measured" in text
    assert text.count("nothing to draw") >= 1
