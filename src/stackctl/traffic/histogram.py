"""Times in a histogram of fixed size: 32 steps for each doubling, so at most 3 % off."""

from __future__ import annotations

from array import array
from collections.abc import Collection, Mapping
from math import ceil

_STEPS = 32
_BITS = 6
_DOUBLINGS = 30
SIZE = _STEPS * (_DOUBLINGS + 2)
"""How many counters: they reach 2**36 µs, nineteen hours."""


class Histogram:
    """Counts of times in microseconds; its size does not grow with their number.

    Attributes:
        count: how many were recorded.
        highest: the largest of them, exact; 0 without any.
    """

    def __init__(self) -> None:
        self._counts = array("Q", bytes(8 * SIZE))
        self.count = 0
        self.highest = 0

    def record(self, times: Collection[int]) -> None:
        """Count times, in microseconds; times beyond the range count as its end."""
        counts = self._counts
        for time in times:
            shift = time.bit_length() - _BITS
            index = _STEPS * shift + (time >> shift) if shift > 0 else time
            counts[index if index < SIZE else -1] += 1
        self.count += len(times)
        self.highest = max(self.highest, max(times, default=0))

    def percentile(self, share: float) -> int:
        """The time that this share (0 to 1) of all times does not exceed, in microseconds.

        It is the upper end of a step, and never above the highest; 0 without any.
        """
        # A little less: 0.99 * 100 is slightly above 99 in binary.
        wanted = max(1, ceil(share * self.count - 1e-9))
        seen = 0
        for index, number in enumerate(self._counts):
            seen += number
            if number and seen >= wanted:
                return min(self.highest, upper_end(index))
        return 0

    def merge(self, other: Histogram) -> None:
        """Add another's counts."""
        for index, number in enumerate(other._counts):
            self._counts[index] += number
        self.count += other.count
        self.highest = max(self.highest, other.highest)

    def steps(self) -> tuple[tuple[int, int], ...]:
        """The steps that hold any: upper end in microseconds, and how many."""
        return tuple((upper_end(i), number) for i, number in enumerate(self._counts) if number)

    def dump(self) -> dict[str, int]:
        """The histogram in a form for JSON; `load` reads it."""
        found = {str(index): number for index, number in enumerate(self._counts) if number}
        return {**found, "highest": self.highest}

    @classmethod
    def load(cls, dumped: Mapping[str, int]) -> Histogram:
        """The histogram of a `dump`."""
        made = cls()
        for key, number in dumped.items():
            if key != "highest":
                made._counts[int(key)] = number
                made.count += number
        made.highest = dumped["highest"]
        return made


def upper_end(index: int) -> int:
    """The largest time of a counter, in microseconds."""
    if index < 2 * _STEPS:
        return index
    shift = index // _STEPS - 1
    return ((index - _STEPS * shift + 1) << shift) - 1
