"""When the next connections are started. Pure."""

from __future__ import annotations

from dataclasses import dataclass

BATCH = 64
"""Most connections or round trips started between two looks at events."""


@dataclass(frozen=True, slots=True)
class Pace:
    """How connections are started: at a rate, all at once, or a number at a time.

    Attributes:
        rate: new connections a second; 0 for no rate.
        burst: start all at once.
        in_flight: how many are opened at a time, with neither rate nor burst.
        timeout: seconds that one may take to open.
    """

    rate: float
    burst: bool
    in_flight: int
    timeout: float

    def due(self, elapsed: float, started: int, under_way: int) -> int:
        """How many to start now, at most a batch.

        Args:
            elapsed: seconds since the first.
            started: how many were started so far.
            under_way: how many of these are neither open nor failed.
        """
        if self.burst:
            return BATCH
        if self.rate:
            return min(BATCH, int(elapsed * self.rate) + 1 - started)
        return min(BATCH, self.in_flight - under_way)
