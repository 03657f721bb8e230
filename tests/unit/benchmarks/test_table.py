"""The arithmetic of the benchmarks: medians, ratios, quarters, figures."""

from __future__ import annotations

import pytest

from benchmarks.measure import Figure
from benchmarks.ports import quarters
from benchmarks.table import Table

SAMPLES = {
    "naive": [
        {"a second": 10.0, "late": 0.0},
        {"a second": 30.0, "late": 2.0},
        {"a second": 20.0, "late": 1.0},
    ],
    "rendered": [
        {"a second": 50.0, "late": 0.0},
        {"a second": 40.0, "late": 0.0},
        {"a second": 60.0, "late": 0.0},
    ],
}


def test_the_middle_round_counts_and_the_others_are_kept() -> None:
    spread = Table.of(SAMPLES).rows["naive"]["a second"]
    assert (spread.median, spread.min, spread.max) == (20, 10, 30)


def test_a_ratio_is_of_medians() -> None:
    table = Table.of(SAMPLES)
    assert table.ratio("rendered", "naive", "a second") == 2.5
    assert table.ratio("naive", "rendered", "late") == 0, "nothing can be divided by 0"


def test_the_document_has_ratios_only_where_they_mean_something() -> None:
    document = Table.of(SAMPLES).document("naive", ["a second"])
    assert document["rendered"]["a second"] == {"median": 50, "min": 40, "max": 60, "ratio": 2.5}
    assert "ratio" not in document["rendered"]["late"]
    assert Table.of(SAMPLES).repeats == 3


def test_quarters_are_means_of_the_ends() -> None:
    assert quarters([1, 3, 9, 9, 9, 9, 10, 20]) == (2, 15)


@pytest.mark.parametrize(
    ("value", "at_least", "reached"), [(1.9, True, True), (1.8, True, False), (1.8, False, True)]
)
def test_a_figure_is_bounded_below_or_above(value: float, at_least: bool, reached: bool) -> None:
    figure = Figure("it", value, 1.9, "times", "because", at_least=at_least)
    assert figure.reached is reached
    assert ("NOT REACHED: because" in figure.sentence()) is not reached
