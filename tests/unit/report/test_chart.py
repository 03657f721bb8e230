"""Charts: what is drawn for which numbers, and that nothing of the world outside is named."""

from __future__ import annotations

import re
import sys
from xml.etree import ElementTree

import pytest

from stackctl.report.chart import MOST_POINTS, bars, columns, curves, number, thinned

SVG = "{http://www.w3.org/2000/svg}"
RISE = [(float(second), second * 100.0) for second in range(20)]

CHARTS = {
    "curves": curves("Held <b>", "s", "n & m", {"held": RISE, "asked": RISE[:2]}, dashed=["asked"]),
    "columns": columns("Times", "ms", "connections", {"to 1 ms": 5, "over <1> ms": 12}),
    "bars": bars("Speed", "a second", {"unix": {"naive": 10, "bare": 1234}, "tcp": {"naive": 9}}),
}
EVERY_CHART = pytest.mark.parametrize("svg", CHARTS.values(), ids=CHARTS)


def elements(svg: str, tag: str, classes: str) -> list[ElementTree.Element]:
    wanted = set(classes.split())
    found = ElementTree.fromstring(svg).iter(SVG + tag)
    return [e for e in found if wanted <= set(e.get("class", "").split())]


def texts(svg: str) -> list[str]:
    return ["".join(e.itertext()) for e in ElementTree.fromstring(svg).iter(SVG + "text")]


@EVERY_CHART
def test_nothing_runs_and_nothing_is_fetched(svg: str) -> None:
    assert set(re.findall(r"https?://[^\"'<\s]*", svg)) == {"http://www.w3.org/2000/svg"}
    assert not re.search(r"<script|<!--|@import|url\(|href|\son[a-z]+=|//fonts", svg)


@EVERY_CHART
def test_it_is_dark_on_dark_screens_alone(svg: str) -> None:
    assert svg.count("@media screen and (prefers-color-scheme: dark)") == 1
    light, dark = svg.split("@media screen")
    assert "#1f6feb" in light
    assert "#58a6ff" in dark


def test_the_same_numbers_give_the_same_text() -> None:
    again = curves("T", "x", "y", {"a": RISE})
    assert curves("T", "x", "y", {"a": RISE}) == again
    assert curves("U", "x", "y", {"a": RISE})[:60] != again[:60]


def test_a_curve_goes_through_its_points() -> None:
    lines = elements(CHARTS["curves"], "path", "line nofill")
    assert [line.get("d", "").count(" ") // 2 + 1 for line in lines] == [2, len(RISE)]
    ends = re.findall(r"[\d.]+ [\d.]+", lines[1].get("d", ""))
    (left, bottom), (right, top) = (map(float, ends[i].split()) for i in (0, -1))
    assert right > left + 500
    assert top < bottom - 100


def test_without_points_it_says_so() -> None:
    empty = curves("T", "x", "y", {"a": []})
    assert not elements(empty, "path", "line nofill")
    assert "nothing to draw" in texts(empty)


def test_bars_are_as_long_as_their_numbers_say() -> None:
    heights = [float(e.get("height", "")) for e in elements(CHARTS["columns"], "rect", "rect")]
    assert heights[1] / heights[0] == pytest.approx(12 / 5, rel=1e-3)
    lengths = [float(e.get("width", "")) for e in elements(CHARTS["bars"], "rect", "rect")]
    assert len(lengths) == 3
    assert max(lengths) / min(lengths) == pytest.approx(1234 / 9, rel=1e-2)


def test_names_and_numbers_stand_in_it() -> None:
    assert {"Held <b>", "n & m", "held", "asked"} <= set(texts(CHARTS["curves"]))
    assert {"over <1> ms", "12"} <= set(texts(CHARTS["columns"]))
    assert {"naive", "bare", "1,234", "unix", "tcp"} <= set(texts(CHARTS["bars"]))


def test_bars_of_nothing() -> None:
    assert bars("T", "x", {}).startswith("<svg")
    assert columns("T", "x", "y", {}).startswith("<svg")
    assert "0" in texts(bars("T", "x", {"": {"a": 0}}))


@pytest.mark.parametrize(
    ("value", "text"), [(0, "0"), (250000.0, "250,000"), (1.256, "1.26"), (1234.5, "1,234")]
)
def test_numbers_in_words(value: float, text: str) -> None:
    assert number(value) == text


def test_a_long_curve_keeps_its_dips_and_its_end() -> None:
    points = [(float(x), 5.0) for x in range(100_000)]
    points[31_234] = (31_234.0, 1.0)
    kept = thinned(points)
    assert len(kept) <= MOST_POINTS + 1
    assert points[31_234] in kept
    assert kept[-1] == points[-1]
    assert sorted(kept) == list(kept)
    assert thinned(RISE) is RISE


def test_every_finder_of_modules_speaks_the_protocol_of_today() -> None:
    assert all(hasattr(finder, "find_spec") for finder in sys.meta_path)
