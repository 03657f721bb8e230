"""Handshakes the probe made, as they are reported: hops, arrival, and the likely cause. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from stackctl.handshake.cause import LOOK, PUBLISHED, Cause, Record
from stackctl.handshake.cause_published import of_published
from stackctl.handshake.cause_replica import left_out, of_replica
from stackctl.limits import TABLE
from stackctl.observe.limitfile import ParseError
from stackctl.observe.model import Snapshot, Unread
from stackctl.observe.replica import counted_clients, ip_of, logged_clients, own_address

ANSWERED = "answered"


@dataclass(frozen=True, slots=True)
class Hop:
    """A hop that was passed: "connect", "proxy", "tls" or "answer", and its milliseconds."""

    name: str
    ms: float


@dataclass(frozen=True, slots=True)
class Handshake:
    """One client's handshake.

    Attributes:
        place: "published", or the replica it was made with.
        user: whose secret it was made with.
        mode: "classic", "secure" or "tls".
        hops: what was passed, in order.
        ended: the hop that was not passed; "" where a data centre answered.
        seen: what was seen there, in words.
        server: the replica that served it; "" where that is not known.
        arrived: whether the client's own address came to the replica; None where it was not asked
            for or cannot be told.
        arrival: how that is known, in words.
        cause: what is likely wrong; None where nothing is.
    """

    place: str
    user: str
    mode: str
    hops: tuple[Hop, ...]
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


def handshakes(snapshot: Snapshot) -> tuple[Handshake, ...]:
    """Every handshake of a probe run: the published address first, then the replicas in order.

    Raises:
        Unread: none was made, and why.
    """
    if snapshot.handshake_error:
        raise Unread(f"no handshake was made: {snapshot.handshake_error}")
    asked = snapshot.request.get("handshakes") or {}
    places = [PUBLISHED, *asked.get("links", ())]
    ranks = {place: rank for rank, place in enumerate(places)}
    records = sorted(
        snapshot.handshakes.get("records", ()), key=lambda record: ranks.get(record["place"], 0)
    )
    return tuple(_handshake(snapshot, record) for record in records)


def _handshake(snapshot: Snapshot, record: Mapping[str, Any]) -> Handshake:
    failure = record.get("failure") or {}
    place = str(record["place"])
    server = str(record.get("server", "")) if place == PUBLISHED else place
    server = "" if server.startswith("<") else server
    ended = "start" if record.get("error") else str(failure.get("hop", ""))
    arrived, arrival = (None, "") if ended else _arrived(snapshot, record, server)
    return Handshake(
        place=place,
        user=str(record["user"]),
        mode=str(record["mode"]),
        hops=tuple(Hop(str(step["hop"]), float(step["ms"])) for step in record["steps"]),
        ended=ended,
        seen=str(record.get("error") or failure.get("detail", "")),
        server=server,
        arrived=arrived,
        arrival=arrival,
        cause=cause_of(snapshot, record) or _stranger(arrived, arrival),
    )


def cause_of(snapshot: Snapshot, record: Record) -> Cause | None:
    """The likely cause of one record of the probe; None where nothing is wrong."""
    if record.get("error"):
        return Cause("not-tried", str(record["error"]), "run the command again; " + LOOK)
    if record["place"] == PUBLISHED:
        return of_published(snapshot, record) if record.get("failure") else None
    if not record.get("failure"):
        return left_out(snapshot, str(record["place"]))
    return of_replica(snapshot, record)


def _stranger(arrived: bool | None, arrival: str) -> Cause | None:
    """Answered, but not seen as the client it is; nothing where that was not asked."""
    if arrived or not arrival:
        return None
    if arrived is None:
        remedy = "see the replica's API and metrics: `docker logs` of it"
        return Cause("address-unknown", arrival, remedy)
    return Cause("address", arrival, TABLE["haproxy.client_address"].remedy)


def _arrived(snapshot: Snapshot, record: Mapping[str, Any], server: str) -> tuple[bool | None, str]:
    """Whether the replica saw the client under its own address, and how that is known.

    Its log has address and port and is believed first; then the addresses from which Telemt says
    the user is connected; then its page of failed handshakes, for the connections that the same
    run made from the same address and broke off.
    """
    if not (snapshot.request.get("handshakes") or {}).get("arrivals"):
        return None, ""
    own = own_address(record)
    if record["place"] == PUBLISHED and not record.get("seen_as"):
        return False, f"HAProxy has no session of {own}: the address is rewritten before it"
    logged = logged_clients(snapshot.logs.get(server, ()))
    if any(entry.client == own and entry.by_header for entry in logged):
        return True, f"{server}'s log names {own}"
    reading = record.get("arrived") or {"error": "not asked"}
    if "value" in reading:
        if reading["value"]:
            return True, f"{server} has {record['user']} connected from {ip_of(own)}"
        others = ", ".join(map(str, reading.get("instead", ()))) or "nowhere"
        return False, f"{server} has {record['user']} connected from {others}, not {ip_of(own)}"
    try:
        if ip_of(own) in counted_clients(snapshot.target(server).get("beobachten")):
            return True, f"{server} counted {ip_of(own)} among clients that broke off"
    except (ParseError, Unread):
        pass
    return None, f"{server} names no client: {reading['error']}"
