"""The histogram's steps, and what it says of the times it was given."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from stackctl.traffic.histogram import SIZE, Histogram, upper_end

TIMES = st.lists(st.integers(0, 2**36 - 1), min_size=1, max_size=200)
SHARES = st.sampled_from([0.01, 0.25, 0.5, 0.9, 0.99, 1.0])


def of(times: list[int]) -> Histogram:
    made = Histogram()
    for time in times:
        made.record([time])
    return made


@given(TIMES, SHARES)
def test_a_percentile_is_never_below_the_truth_and_at_most_one_step_above(
    times: list[int], share: float
) -> None:
    ordered = sorted(times)
    # The nearest rank, in whole numbers.
    rank = max(1, -(-round(share * 100) * len(times) // 100))
    truth = ordered[rank - 1]
    assert truth <= of(times).percentile(share) <= truth + truth // 32 + 1


def test_every_step_follows_the_one_before() -> None:
    ends = [upper_end(index) for index in range(SIZE)]
    assert ends == sorted(set(ends))
    for index in (0, 63, 64, 95, 96, 500):
        made = of([upper_end(index), upper_end(index) + 1])
        assert made.steps() == ((ends[index], 1), (ends[index + 1], 1))


@given(TIMES, TIMES)
def test_merged_is_as_if_recorded_together(one: list[int], other: list[int]) -> None:
    merged = of(one)
    merged.merge(Histogram.load(of(other).dump()))
    together = of(one + other)
    assert merged.steps() == together.steps()
    assert (merged.count, merged.highest) == (together.count, together.highest)


def test_nothing_recorded() -> None:
    empty = Histogram.load(Histogram().dump())
    assert (empty.percentile(0.5), empty.count, empty.highest, empty.steps()) == (0, 0, 0, ())


def test_what_is_beyond_the_range_counts_as_its_end() -> None:
    beyond = of([2**60])
    assert beyond.count == 1
    assert beyond.highest == 2**60
