"""From a reading that may fail to an Observed: the frame of every reader."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps

from stackctl.limits import Limit, Read, Value
from stackctl.observe.limitfile import ParseError
from stackctl.observe.model import Observed, Snapshot, Unread

Take = Callable[[Snapshot, str, Read, Limit], tuple[Value, str] | tuple[Value, str, str]]
ReaderFunction = Callable[[Snapshot, str, Read, Limit], Observed]


def reader(take: Take) -> ReaderFunction:
    """A reader out of a function that raises Unread or ParseError, or returns (value, source).

    A third member is what to do about that value, where it knows better than the row.
    """

    @wraps(take)
    def read(snapshot: Snapshot, target: str, read: Read, limit: Limit) -> Observed:
        try:
            got, source, *remedy = take(snapshot, target, read, limit)
        except (Unread, ParseError) as problem:
            return Observed(None, "", str(problem) or "nothing could be read")
        except (KeyError, IndexError, TypeError, ValueError, AttributeError) as problem:
            # A response of another shape is an error to be shown, never a value.
            return Observed(
                None,
                "",
                f"the probe's answer is not understood: {type(problem).__name__} {problem}",
            )
        return Observed(got, source, remedy="".join(remedy))

    return read
