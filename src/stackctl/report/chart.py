"""Charts as SVG text that stands alone: no script, no font and no link. Pure.

pygal draws them. What it adds for web pages (scripts, comments with the date) is removed, so the
same numbers always give the same text. On a screen a chart follows the reader's dark mode; on paper
it is light.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Collection, Mapping, Sequence
from hashlib import sha256
from typing import Any

import pygal
from pygal.etree import etree
from pygal.style import Style

# pygal installs an import finder for its maps that lacks find_spec(). Python 3.12 dropped the old
# protocol, so code that asks every finder fails at this one. No map is drawn here: it is removed.
sys.meta_path[:] = [finder for finder in sys.meta_path if hasattr(finder, "find_spec")]

Points = Sequence[tuple[float, float]]
"""x and y, in x's order."""

MOST_POINTS = 800
"""A curve has fewer pixels than that, so more points would not show."""

WIDTH, HEIGHT = 860, 380
BAR_HEIGHT = 46

_BEHIND_THE_BAR = (
    "inline:.horizontalbar-graph .text-overlay text{text-anchor:start;transform:translateX(6px)}"
)

COLOURS = ("#1f6feb", "#d1570a", "#1a7f37", "#8250df", "#bf3989", "#7d6608")
"""Colours of the series in their order, on a light background."""
DARK_COLOURS = ("#58a6ff", "#ff9b4d", "#56d364", "#bc8cff", "#ff80c8", "#e3b341")


def curves(
    title: str,
    x_title: str,
    y_title: str,
    series: Mapping[str, Points],
    *,
    dashed: Collection[str] = (),
) -> str:
    """Lines over a common x axis; the y axis begins at 0.

    Args:
        title: above the chart.
        x_title: with its unit.
        y_title: with its unit.
        series: points by name; a line needs two.
        dashed: names of the series that are for comparison.

    Returns:
        SVG, beginning with `<svg`.
    """

    solid = [name for name in series if name not in dashed]
    # The series for comparison are drawn first, so they lie below the others.
    names = [*(name for name in series if name in dashed), *solid]

    def draw(style: Style) -> Any:
        chart = pygal.XY(
            **_look(style, title, x_title, y_title, len(series)),
            height=HEIGHT,
            show_dots=False,
            include_x_axis=True,
            x_value_formatter=number,
            show_minor_x_labels=True,
        )
        for name in names:
            stroke = {"dasharray": "6, 5"} if name in dashed else {}
            chart.add(name, thinned(series[name]), stroke_style=stroke)
        return chart

    return _svg(title, draw, plain=len(names) - len(solid))


def columns(title: str, x_title: str, y_title: str, values: Mapping[str, float]) -> str:
    """One upright bar for each name, in their order: a histogram, where the names are bins.

    Args:
        title: above the chart.
        x_title: what the names are.
        y_title: with its unit.
        values: heights by name.

    Returns:
        SVG, beginning with `<svg`.
    """

    def draw(style: Style) -> Any:
        chart = pygal.Bar(
            **_look(style, title, x_title, y_title, 1),
            height=HEIGHT,
            include_x_axis=True,
            print_values=True,
            print_zeroes=False,
            print_values_position="top",
            x_label_rotation=-35,
        )
        chart.x_labels = list(values)
        chart.add("", list(values.values()))
        return chart

    return _svg(title, draw)


def bars(title: str, x_title: str, series: Mapping[str, Mapping[str, float]]) -> str:
    """Horizontal bars with their numbers, one group for each name.

    Args:
        title: above the chart.
        x_title: what the bars' length is, with its unit.
        series: for each series, lengths by name; a name that a series lacks has no bar in it. One
            series needs no name: `{"": {"naive": 1200, "rendered": 2900}}`.

    Returns:
        SVG, beginning with `<svg`.
    """
    names = list(dict.fromkeys(name for values in series.values() for name in values))
    longest = max((v for values in series.values() for v in values.values()), default=0) or 1

    def draw(style: Style) -> Any:
        chart = pygal.HorizontalBar(
            **_look(style, title, x_title, None, len(series)),
            height=130 + BAR_HEIGHT * len(names) * max(1, len(series)),
            # Leave room for the number after the longest bar.
            range=(0, 1.1 * longest),
            print_values=True,
            print_values_position="top",
            css=["file://style.css", "file://graph.css", _BEHIND_THE_BAR],
        )
        # pygal draws the names from the bottom up, and the series of a name from the top down.
        chart.x_labels = names[::-1]
        for name, values in series.items():
            chart.add(name, [values.get(key) for key in reversed(names)])
        return chart

    return _svg(title, draw)


def number(value: float) -> str:
    """A number on an axis or a bar: thousands separated, no meaningless digits."""
    if value == int(value) or abs(value) >= 1000:
        return f"{value:,.0f}"
    return f"{value:.3g}"


def thinned(points: Points, most: int = MOST_POINTS) -> Points:
    """At most that many points, and the last, with the same shape: a short dip or peak stays.

    Args:
        points: in x's order.
        most: even, and 2 at least.
    """
    if len(points) <= most:
        return points
    kept: list[tuple[float, float]] = []
    parts = most // 2
    for part in range(parts):
        chunk = points[part * len(points) // parts : (part + 1) * len(points) // parts]
        low, high = min(chunk, key=lambda p: p[1]), max(chunk, key=lambda p: p[1])
        kept += sorted({low, high})
    return kept if kept[-1] == points[-1] else [*kept, points[-1]]


def _look(
    style: Style, title: str, x_title: str, y_title: str | None, series: int
) -> dict[str, Any]:
    return {
        "style": style,
        "title": title,
        "x_title": x_title,
        "y_title": y_title,
        "width": WIDTH,
        "show_legend": series > 1,
        "legend_at_bottom": True,
        "legend_at_bottom_columns": min(3, max(1, series)),
        "truncate_legend": -1,
        "truncate_label": -1,
        "value_formatter": number,
        "no_data_text": "nothing to draw",
        "max_scale": 8,
        "margin": 12,
        "js": [],
    }


def _style(dark: bool, plain: int) -> Style:
    ink, faint = ("#c9d1d9", "#30363d") if dark else ("#3d444d", "#dfe3e8")
    return Style(
        background="#161b22" if dark else "#ffffff",
        plot_background="#161b22" if dark else "#ffffff",
        foreground=ink,
        foreground_strong="#f0f6fc" if dark else "#1f2328",
        foreground_subtle=faint,
        guide_stroke_color=faint,
        major_guide_stroke_color=faint,
        guide_stroke_dasharray="none",
        major_guide_stroke_dasharray="none",
        stroke_width="2.5",
        stroke_width_hover="2.5",
        colors=(*[ink] * plain, *(DARK_COLOURS if dark else COLOURS)),
        value_colors=(ink,) * 16,
        font_family="system-ui, sans-serif",
        value_font_family="system-ui, sans-serif",
        title_font_size=18,
        label_font_size=13,
        major_label_font_size=13,
        legend_font_size=13,
        value_font_size=12,
        opacity="1",
        opacity_hover="1",
        stroke_opacity="1",
        transition="0s",
    )


def _svg(title: str, draw: Callable[[Style], Any], plain: int = 0) -> str:
    """Light and dark in one SVG: the dark style sheet applies on dark screens alone."""
    root, dark = (_rendered(draw(_style(dark, plain)), title) for dark in (False, True))
    sheet, night = (next(e for e in r.iter() if _is(e, "style")) for r in (root, dark))
    sheet.text += f"\n@media screen and (prefers-color-scheme: dark) {{\n{night.text}\n}}\n"
    text: str = etree.tostring(root, encoding="unicode")
    return text


def _rendered(chart: Any, title: str) -> Any:
    """The tree of a chart, without what pygal adds by chance, date or for scripts."""
    # The style sheet names the chart by its uuid; two charts on a page must differ.
    chart.uuid = sha256(title.encode()).hexdigest()[:12]
    root = chart.render_tree()
    for parent in list(root.iter()):
        for child in list(parent):
            if not isinstance(child.tag, str) or _is(child, "script") or _is(child, "desc"):
                parent.remove(child)
    root.set("role", "img")
    root.set("width", "100%")
    return root


def _is(element: Any, tag: str) -> bool:
    return isinstance(element.tag, str) and element.tag.rpartition("}")[2] == tag
