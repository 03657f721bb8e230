"""A diagnosis as data."""

from __future__ import annotations

from dataclasses import dataclass

from stackctl.errors import Exit

NEARLY_FULL = 0.8
"""Above this share of a limit there is little time left to raise it."""


@dataclass(frozen=True, slots=True)
class Growth:
    """A counter that does not grow while all is well.

    Attributes:
        where: "host", "haproxy" or "telemt-N": whose network namespace, or whose own counter.
        name: the counter's.
        total: what it has counted since that namespace or process began.
        grew: by how much between the two samples.
        per_second: the same, for each second.
        means: what it says when it moves.
        limits: keys of the rows of the limits table that it points at there.
    """

    where: str
    name: str
    total: int
    grew: int
    per_second: float
    means: str
    limits: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Fill:
    """How much of something limited is in use.

    Attributes:
        where: as of a Growth.
        name: what is used.
        used: in its own unit: descriptors, entries, sockets, pages, connections.
        of: the limit in force; 0 where any use is too much.
        means: what happens at the limit.
        limits: keys of the rows of the limits table that set it.
    """

    where: str
    name: str
    used: int
    of: int
    means: str
    limits: tuple[str, ...]

    @property
    def share(self) -> float:
        """Share of the limit in use; 1.0 where any use is too much and there is some."""
        return self.used / self.of if self.of else float(self.used > 0)

    @property
    def nearly(self) -> bool:
        """Whether it is time to act."""
        return self.share >= NEARLY_FULL


@dataclass(frozen=True, slots=True)
class Diagnosis:
    """Two samples of a host and the stack on it.

    Attributes:
        stack: its name.
        seconds: between the samples.
        growths: counters that are not zero, those that grow first.
        fills: everything limited whose use could be read, the fullest first.
        unread: what could not be read, one clause each.
    """

    stack: str
    seconds: float
    growths: tuple[Growth, ...]
    fills: tuple[Fill, ...]
    unread: tuple[str, ...]

    @property
    def exit_status(self) -> Exit:
        """0 where nothing is refused now, nothing is nearly full, and all could be read."""
        ill = any(g.grew for g in self.growths) or any(f.nearly for f in self.fills)
        return Exit.SHORT if ill or self.unread else Exit.OK
