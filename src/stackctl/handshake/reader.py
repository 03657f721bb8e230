"""The reader of handshakes: whether clients get an answer, from HAProxy and from each replica."""

from __future__ import annotations

from stackctl.handshake.cause import PUBLISHED
from stackctl.handshake.records import ANSWERED, Handshake, handshakes
from stackctl.limits import Limit, Read, Value
from stackctl.observe.evidence import reader
from stackctl.observe.model import Snapshot, Unread


@reader
def handshake(
    snapshot: Snapshot, target: str, read: Read, limit: Limit
) -> tuple[Value, str] | tuple[Value, str, str]:
    """`answered`, or in one word the likely cause of the first handshake that was not.

    On a link those with that replica count, else those through the published address.
    """
    place = target.partition("/")[2] or PUBLISHED
    made = [one for one in handshakes(snapshot) if one.place == place]
    if not made:
        raise Unread(f"no handshake was made with {place}")
    # What was seen to fail says more than what there was no time left for.
    for one in made:
        if one.cause and one.ended != "start":
            return one.cause.word, f"{described(one)}: {one.cause.because}", one.cause.remedy
    for one in made:
        if one.ended == "start":
            raise Unread(f"{described(one)}: {one.seen}")
    return ANSWERED, "; ".join(map(described, made))


def described(one: Handshake) -> str:
    """A handshake in words: who, how, through which replica, and what each hop took."""
    through = f" through {one.server}" if one.server and one.server != one.place else ""
    hops = ", ".join(f"{hop.name} {hop.ms:g} ms" for hop in one.hops)
    ended = f"; ended at {one.ended}: {one.seen}" if one.ended not in ("", "start") else ""
    return f"{one.user} {one.mode}{through}" + (f" ({hops}{ended})" if hops or ended else "")
