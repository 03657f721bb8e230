"""The page of `load --html` in headless Chromium: its charts are drawn, where the axes say."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from loads import load_result
from stackctl.report.page import load_page
from stackctl.traffic.result import LoadResult

from .devtools import Browser, Page, chromium

WANTED = 10_000
CURVE = tuple((second / 5, min(8_000, second * 80)) for second in range(1, 200))
BLUE, LIGHT_BLUE = (0x1F, 0x6F, 0xEB), (0x58, 0xA6, 0xFF)
WHITE, NIGHT = (255, 255, 255), (0x16, 0x1B, 0x22)

MEASURE = """
(() => {
  const labels = axis => [...document.querySelectorAll(`#curve .axis.${axis} .guides`)].map(g => {
    const [text, line] = [g.querySelector("text"), g.querySelector("path")];
    const box = line.getBoundingClientRect();
    return [Number(text.textContent.replaceAll(",", "")), box.x + scrollX + box.width / 2,
            box.y + scrollY + box.height / 2];
  });
  const box = e => { const b = e.getBoundingClientRect(); return [b.width, b.height]; };
  return {
    x: labels("x"), y: labels("y"),
    lines: [...document.querySelectorAll("#curve path.line.nofill")].map(box),
    bars: [...document.querySelectorAll("#times rect.rect")].map(box),
  };
})()
"""
"""Where the numbers of both axes stand on the page, and how large what is drawn is, in pixels."""


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    """A missing Chromium is a failure, never a skip."""
    with chromium(tmp_path_factory.mktemp("browser")) as running:
        yield running


def written(folder: Path, result: LoadResult, instead: tuple[str, str] = ("", "")) -> Path:
    path = folder / "load.html"
    text = load_page(result, datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC))
    assert instead[0] in text
    path.write_text(text.replace(*instead) if instead[0] else text, encoding="utf-8")
    return path


def place(measured: dict[str, Any], seconds: float, held: float) -> tuple[int, int]:
    """The pixel where a point belongs, by the numbers that stand on both axes."""
    (a, xa, _), (b, xb, _) = measured["x"][0], measured["x"][-1]
    (c, _, yc), (d, _, yd) = measured["y"][0], measured["y"][-1]
    x = xa + (seconds - a) * (xb - xa) / (b - a)
    y = yc + (held - c) * (yd - yc) / (d - c)
    return round(x), round(y)


def is_drawn(page: Page, colour: tuple[int, int, int]) -> bool:
    """Whether five points of the curve are in this colour where they belong, to a pixel."""
    measured = page.run(MEASURE)
    assert min(len(measured["x"]), len(measured["y"])) >= 2
    places = [place(measured, *CURVE[i]) for i in (20, 50, 80, 120, 180)]
    beside = [(right, down) for right in (-1, 0, 1) for down in (-1, 0, 1)]
    seen = page.colours([(x + right, y + down) for x, y in places for right, down in beside])
    each = [seen[i : i + len(beside)] for i in range(0, len(seen), len(beside))]
    return all(any(near(one, colour) for one in around) for around in each)


def near(seen: tuple[int, int, int], wanted: tuple[int, int, int]) -> bool:
    """A line's edge is softened a little."""
    return all(abs(a - b) < 25 for a, b in zip(seen, wanted, strict=True))


def ground(page: Page) -> tuple[int, int, int]:
    return page.colours([(200, 1)])[0]


@pytest.mark.parametrize(("dark", "line"), [(False, BLUE), (True, LIGHT_BLUE)])
@pytest.mark.parametrize("width", [1600, 700])
def test_the_curve_is_drawn_where_the_axes_say(
    browser: Browser, tmp_path: Path, dark: bool, line: tuple[int, int, int], width: int
) -> None:
    page = browser.open(written(tmp_path, load_result(CURVE, WANTED)))
    page.look(width, 2600, dark)
    assert is_drawn(page, line)
    assert ground(page) == (NIGHT if dark else WHITE)


def test_both_charts_have_a_size(browser: Browser, tmp_path: Path) -> None:
    page = browser.open(written(tmp_path, load_result(CURVE, WANTED)))
    measured = page.run(MEASURE)
    asked, held = measured["lines"]
    assert held[0] > 300
    assert held[1] > 100
    assert asked[0] > 300
    heights = [height for width, height in measured["bars"] if width > 5 and height > 3]
    # 1.2 and 1.4 ms; 2.5, 2.6 and 2.7; 40; 950.
    assert [height / heights[-1] for height in heights] == pytest.approx([2, 3, 1, 1], rel=0.02)


@pytest.mark.parametrize(
    ("curve", "instead"),
    [
        # The chart without the line of those held.
        (CURVE[:1], ("", "")),
        # Drawn, and not to be seen.
        (CURVE, ("</style>\n</head>", "#curve path.nofill { display: none }</style>\n</head>")),
        (CURVE, ("</style>\n</head>", "#curve path.nofill { opacity: 0 }</style>\n</head>")),
        # Drawn, and somewhere else.
        (CURVE, ("</style>\n</head>", "#curve .series { translate: 0 9px }</style>\n</head>")),
    ],
    ids=["empty", "none", "transparent", "elsewhere"],
)
def test_this_test_sees_a_curve_that_is_not_there(
    browser: Browser,
    tmp_path: Path,
    curve: tuple[tuple[float, int], ...],
    instead: tuple[str, str],
) -> None:
    page = browser.open(written(tmp_path, load_result(curve, WANTED), instead))
    assert not is_drawn(page, BLUE)


def test_without_a_curve_the_page_says_so(browser: Browser, tmp_path: Path) -> None:
    page = browser.open(written(tmp_path, load_result((), WANTED)))
    assert page.run(MEASURE)["lines"] == []
    assert "nothing to draw" in page.run("document.querySelector('#curve').textContent")


def test_nothing_is_fetched_refused_or_run(browser: Browser, tmp_path: Path) -> None:
    name = "<script>document.title = 'run'</script><img src=http://192.0.2.1/x>"
    result = load_result(CURVE, WANTED, stack=name, failed={name: 3}, problems=(name,))
    path = written(tmp_path, result)
    before, said = len(browser.requests()), len(browser.complaints())
    page = browser.open(path)
    assert name in page.run("document.title")
    assert page.run("document.querySelectorAll('script, img, link, iframe').length") == 0
    assert browser.requests()[before:] == [path.as_uri()]
    assert browser.complaints()[said:] == []


def test_what_is_read_first_is_the_verdict(browser: Browser, tmp_path: Path) -> None:
    page = browser.open(written(tmp_path, load_result(CURVE, WANTED)))
    first = page.run("document.body.innerText").splitlines()[0]
    assert first.startswith("NOT HELD: of 10,000 connections 8,000 were opened")


def test_on_a_narrow_screen_nothing_runs_out_of_it(browser: Browser, tmp_path: Path) -> None:
    page = browser.open(written(tmp_path, load_result(CURVE, WANTED)))
    page.look(420, 2600)
    assert page.run("document.documentElement.scrollWidth") <= 420


def test_printed_it_is_light_whatever_the_reader_prefers(browser: Browser, tmp_path: Path) -> None:
    page = browser.open(written(tmp_path, load_result(CURVE, WANTED)))
    page.look(1000, 2600, dark=True, medium="print")
    assert is_drawn(page, BLUE)
    assert ground(page) == WHITE
    assert page.pdf().startswith(b"%PDF")


def test_the_limits_stand_beside_the_charts(browser: Browser, tmp_path: Path) -> None:
    page = browser.open(written(tmp_path, load_result(CURVE, WANTED)))
    where = json.dumps(["#curve", "#limits"])
    curve, limits = page.run(
        f"{where}.map(s => document.querySelector(s).getBoundingClientRect().toJSON())"
    )
    assert curve["right"] <= limits["left"]
    assert limits["top"] < curve["bottom"]
    first = page.run("document.querySelector('#limits tbody tr.marked').innerText")
    assert "netstat.ListenOverflows +1,312 in haproxy" in first
