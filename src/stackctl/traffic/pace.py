"""When the next connections are begun. Pure."""

from __future__ import annotations

from dataclasses import dataclass

BATCH = 64
"""Connections begun, or round trips, between two looks at what has happened: at most."""


@dataclass(frozen=True, slots=True)
class Pace:
    """How connections are started: at a rate, all at once, or so many under way.

    Attributes:
        rate: a second; 0 for none.
        burst: all at once.
        in_flight: under way at once; counts where there is neither rate nor burst.
        timeout: seconds one may take to be open.
    """

    rate: float
    burst: bool
    in_flight: int
    timeout: float

    def due(self, elapsed: float, started: int, under_way: int) -> int:
        """How many to start now, at most a batch.

        Args:
            elapsed: seconds since the first.
            started: so far.
            under_way: of these.
        """
        if self.burst:
            return BATCH
        if self.rate:
            return min(BATCH, int(elapsed * self.rate) + 1 - started)
        return min(BATCH, self.in_flight - under_way)
