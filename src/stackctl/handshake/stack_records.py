"""Handshakes with the stack for the reports: hops, arrival, and the likely cause. Pure."""

from __future__ import annotations

from dataclasses import dataclass

from stackctl.collector.answer import HandshakeRecord, Step, Unread
from stackctl.handshake.cause import LOOK, Cause
from stackctl.handshake.stack_explain import PUBLISHED, left_out, of_published, of_replica
from stackctl.limits import TABLE, Limit, Read, Value
from stackctl.observe.observed import ParseError, reader
from stackctl.observe.snapshot import Snapshot
from stackctl.observe.telemt import answers, counted_clients, ip_of, logged_clients, own_address

ANSWERED = "answered"


@dataclass(frozen=True, slots=True)
class StackHandshake:
    """One client's handshake.

    Attributes:
        place: "published", or the replica it was made with.
        user: whose secret it was made with.
        mode: "classic", "secure" or "tls".
        hops: the hops that were passed, in order.
        ended: the hop that was not passed; "" where a data centre answered.
        seen: what was seen there, in words.
        server: the replica that served it; "" where that is not known.
        arrived: whether the client's own address reached the replica; None where that was not
            asked for or is not known.
        arrival: how that is known, in words.
        cause: what is likely wrong; None where nothing is.
    """

    place: str
    user: str
    mode: str
    hops: tuple[Step, ...]
    ended: str
    seen: str
    server: str
    arrived: bool | None
    arrival: str
    cause: Cause | None

    @property
    def word(self) -> str:
        """`answered`, or the cause in one word."""
        return self.cause.word if self.cause else ANSWERED


def handshakes(snapshot: Snapshot) -> tuple[StackHandshake, ...]:
    """Every handshake of a run: the published address first, then the replicas in order.

    Raises:
        Unread: none was made; the text says why.
    """
    asked = snapshot.request.handshakes
    places = [PUBLISHED, *(asked.ways if asked else ())]
    ranks = {place: rank for rank, place in enumerate(places)}
    records = sorted(snapshot.handshakes.records, key=lambda record: ranks.get(record.place, 0))
    return tuple(_handshake(snapshot, record) for record in records)


def _handshake(snapshot: Snapshot, record: HandshakeRecord) -> StackHandshake:
    tried = record.tried
    server = record.server if record.place == PUBLISHED else record.place
    server = "" if server.startswith("<") else server
    ended = "start" if record.error else tried.ended.hop if tried.ended else ""
    arrived, arrival = (None, "") if ended else _arrived(snapshot, record, server)
    return StackHandshake(
        place=record.place,
        user=record.user,
        mode=record.mode,
        hops=tried.steps,
        ended=ended,
        seen=record.error or (tried.ended.detail if tried.ended else ""),
        server=server,
        arrived=arrived,
        arrival=arrival,
        cause=cause_of(snapshot, record) or _stranger(arrived, arrival),
    )


def cause_of(snapshot: Snapshot, record: HandshakeRecord) -> Cause | None:
    """The likely cause of one record; None where nothing is wrong."""
    if record.error:
        return Cause("not-tried", record.error, "run the command again; " + LOOK)
    if record.place == PUBLISHED:
        return of_published(snapshot, record) if record.tried.ended else None
    if not record.tried.ended:
        return left_out(snapshot, record.place)
    return of_replica(snapshot, record)


def _stranger(arrived: bool | None, arrival: str) -> Cause | None:
    """The cause where the replica did not see the client's own address; None if not asked for."""
    if arrived or not arrival:
        return None
    if arrived is None:
        remedy = "see the replica's `docker logs` for why its API and metrics do not answer"
        return Cause("address-unknown", arrival, remedy)
    return Cause("address", arrival, TABLE["haproxy.client_address"].remedy)


def _arrived(snapshot: Snapshot, record: HandshakeRecord, server: str) -> tuple[bool | None, str]:
    """Whether the replica saw the client under its own address, and how that is known.

    The replica's log has address and port, so it comes first. Next come the addresses from which
    Telemt says the user is connected. The last is its page of failed handshakes: the same run made
    connections from the same address and broke them off.
    """
    asked = snapshot.request.handshakes
    if not asked or not asked.arrivals:
        return None, ""
    own = own_address(record)
    if record.place == PUBLISHED and not record.seen_as:
        return False, f"HAProxy has no session of {own}: something rewrites the address before it"
    logged = logged_clients(snapshot.logs.get(server, ()))
    if any(entry.client == own and entry.by_header for entry in logged):
        return True, f"{server}'s log names {own}"
    reading = record.arrived
    if reading and reading.value:
        if reading.value.named:
            return True, f"{server} has {record.user} connected from {ip_of(own)}"
        others = ", ".join(reading.value.instead) or "nowhere"
        return False, f"{server} has {record.user} connected from {others}, not {ip_of(own)}"
    try:
        if ip_of(own) in counted_clients(answers(snapshot, server).failed):
            return True, f"{server} counted {ip_of(own)} among clients that broke off"
    except (ParseError, Unread):
        pass
    return None, f"{server} names no client: {reading.error if reading else 'not asked'}"


@reader
def handshake(
    snapshot: Snapshot, target: str, read: Read, limit: Limit
) -> tuple[Value, str] | tuple[Value, str, str]:
    """`answered`, or the likely cause, in one word, of the first handshake that failed.

    For a link the handshakes with that replica count, else those through the published address.
    """
    place = target.partition("/")[2] or PUBLISHED
    made = [one for one in handshakes(snapshot) if one.place == place]
    if not made:
        raise Unread(f"no handshake was made with {place}")
    # A failure that was seen says more than a handshake that there was no time for.
    for one in made:
        if one.cause and one.ended != "start":
            return one.cause.word, f"{described(one)}: {one.cause.because}", one.cause.remedy
    for one in made:
        if one.ended == "start":
            raise Unread(f"{described(one)}: {one.seen}")
    return ANSWERED, "; ".join(map(described, made))


def described(one: StackHandshake) -> str:
    """A handshake in words: who, how, through which replica, and what each hop took."""
    through = f" through {one.server}" if one.server and one.server != one.place else ""
    hops = ", ".join(f"{hop.hop} {hop.ms:g} ms" for hop in one.hops)
    ended = f"; ended at {one.ended}: {one.seen}" if one.ended not in ("", "start") else ""
    return f"{one.user} {one.mode}{through}" + (f" ({hops}{ended})" if hops or ended else "")
