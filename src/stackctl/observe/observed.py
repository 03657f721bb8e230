"""One reading of a row of the limits table, and the decorator of every reader. Pure."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import wraps

from stackctl.collector.answer import Unread
from stackctl.limits import Limit, Read, Value
from stackctl.observe.snapshot import Snapshot


class ParseError(ValueError):
    """A text does not have the form that its source normally has."""


@dataclass(frozen=True, slots=True)
class Observed:
    """One reading.

    Attributes:
        got: the value, in the unit of the limit's kind; None where it could not be read.
        source: short evidence: where it was read, and the raw text.
        error: why it could not be read; empty where it could.
        remedy: what to do about this very value; empty where the row's own remedy applies.
    """

    got: Value | None
    source: str
    error: str = ""
    remedy: str = ""


Take = Callable[[Snapshot, str, Read, Limit], tuple[Value, str] | tuple[Value, str, str]]
ReaderFunction = Callable[[Snapshot, str, Read, Limit], Observed]


def reader(take: Take) -> ReaderFunction:
    """Make a reader of a function that returns (value, source), or raises Unread or ParseError.

    The function may return a remedy as third member, where it knows a better one than the row.
    """

    @wraps(take)
    def read(snapshot: Snapshot, target: str, read: Read, limit: Limit) -> Observed:
        try:
            got, source, *remedy = take(snapshot, target, read, limit)
        except (Unread, ParseError) as problem:
            return Observed(None, "", str(problem) or "nothing could be read")
        return Observed(got, source, remedy="".join(remedy))

    return read
