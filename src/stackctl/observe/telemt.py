"""Telemt: its file, its readiness, the clients that reach it, and its refusals. Pure."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from ipaddress import ip_address

from stackctl.collector.answer import (
    Connection,
    FailedHandshakes,
    HandshakeRecord,
    Reading,
    TelemtAnswers,
    Unread,
)
from stackctl.limits import Limit, Read, Value
from stackctl.observe.configfile import toml_value
from stackctl.observe.haproxy import live_file
from stackctl.observe.observed import ParseError, reader
from stackctl.observe.snapshot import Snapshot

READY = "ready"
NOT_READY = "not-ready"

_SHOWN = 3
"""How many other clients are named where the right one is missing."""

_TRIES = re.compile(r"([0-9a-fA-F:.]+)-([0-9]+)")


@dataclass(frozen=True, slots=True)
class LoggedClient:
    """A client as a replica logged it.

    Attributes:
        client: address:port.
        via: "direct"; "proxy_v1" or "proxy_v2" where a PROXY header named the client.
    """

    client: str
    via: str

    @property
    def by_header(self) -> bool:
        """Whether a PROXY header named the address."""
        return self.via.startswith("proxy")


def parse_ready(status: int, body: str) -> tuple[str, str]:
    """`ready` or `not-ready`, and Telemt's reason ("" if it gives none), of /v1/health/ready.

    Raises:
        ParseError: the body is not Telemt's, or contradicts the status.
    """
    data = _data(body)
    ready = data.get("ready")
    if not isinstance(ready, bool):
        raise ParseError(f"no `data.ready` in {body[:80]!r}")
    if ready != (status == 200):
        raise ParseError(f"status {status}, but data.ready is {str(ready).lower()}")
    return READY if ready else NOT_READY, str(data.get("reason") or "")


def parse_health(body: str) -> str:
    """`data.status` of /v1/health.

    Raises:
        ParseError: the body is not Telemt's.
    """
    status = _data(body).get("status")
    if not isinstance(status, str) or not status:
        raise ParseError(f"no `data.status` in {body[:80]!r}")
    return status


def _data(body: str) -> dict[str, object]:
    try:
        answer = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise ParseError(f"not JSON: {body[:80]!r}") from error
    data = answer.get("data") if isinstance(answer, dict) else None
    if not isinstance(data, dict):
        raise ParseError(f"no `data` in {body[:80]!r}")
    return data


def logged_clients(lines: Iterable[str]) -> tuple[LoggedClient, ...]:
    """The clients among a replica's log lines; every other line is left out."""
    found = []
    for line in lines:
        if '"client"' not in line:
            continue
        try:
            event = json.loads(line)
        except (ValueError, RecursionError):
            continue
        if isinstance(event, dict) and event.get("event") == "client":
            client, via = event.get("client"), event.get("via")
            if isinstance(client, str) and isinstance(via, str):
                found.append(LoggedClient(client.removeprefix("::ffff:"), via))
    return tuple(found)


def ip_of(client: str) -> str:
    """The IP of `address:port`, spelled as Telemt's page spells it.

    Raises:
        ParseError: there is none.
    """
    try:
        return _spelled(client.rpartition(":")[0].strip("[]"))
    except ValueError as problem:
        raise ParseError(str(problem)) from problem


def own_address(record: HandshakeRecord) -> str:
    """The address:port under which the replica has to see the client of a handshake."""
    return record.tried.client or record.tried.local


def _spelled(ip: str) -> str:
    address = ip_address(ip)
    return str(getattr(address, "ipv4_mapped", None) or address)


def parse_beobachten(page: str) -> dict[tuple[str, str], int]:
    """Failed handshakes by class and IP, from Telemt's page /beobachten.

    Raises:
        ParseError: Telemt does not count them.
    """
    if page.startswith("beobachten disabled"):
        raise ParseError("beobachten disabled")
    found: dict[tuple[str, str], int] = {}
    kind = ""
    # TLS fingerprints follow the classes, in lines of other forms.
    for line in page.splitlines():
        if line.startswith("["):
            kind = line.strip("[]")
        elif kind and (match := _TRIES.fullmatch(line)):
            try:
                found[kind, _spelled(match[1])] = int(match[2])
            except ValueError:
                continue
    return found


def counted_clients(reading: Reading[FailedHandshakes]) -> dict[str, int]:
    """How many more failed handshakes each IP has than before, whatever their class.

    Raises:
        Unread: the page was not read.
        ParseError: Telemt does not count them.
    """
    page = reading.get(f"GET {reading.path or '/beobachten'}")
    before = parse_beobachten(page.before)
    more: Counter[str] = Counter()
    for entry, tries in parse_beobachten(page.after).items():
        had = before.get(entry, 0)
        # A lower number means that Telemt forgot the address meanwhile and counts from 0.
        more[entry[1]] += tries - had if tries >= had else tries
    return {ip: tries for ip, tries in more.items() if tries}


def answers(snapshot: Snapshot, target: str) -> TelemtAnswers:
    """A replica's answers on its API and its pages.

    Raises:
        Unread: it does not run, or could not be read.
    """
    found = snapshot.target(target).telemt
    if found is None:
        raise Unread(f"{target}'s API was not asked")
    return found


def refused(snapshot: Snapshot, target: str) -> dict[str, int]:
    """What a replica has refused since it began, by series of its metrics page.

    A series that has counted nothing may be missing.

    Raises:
        Unread: the replica or its page could not be read.
    """
    counted = answers(snapshot, target).refused.get("metrics")
    return {series: int(number) for series, number in counted.items()}


@reader
def config(snapshot: Snapshot, target: str, read: Read, limit: Limit) -> tuple[Value, str]:
    """A key of the file the live process was started from."""
    found = snapshot.target(target)
    got = toml_value(live_file(found), read.arg)
    return got, f"{found.config.path}: {read.arg} = {got}"


@reader
def ready(snapshot: Snapshot, target: str, read: Read, limit: Limit) -> tuple[Value, str]:
    """`ready` or `not-ready`, as Telemt answers inside its own namespace."""
    reading = answers(snapshot, target).ready
    url = reading.path or "/v1/health/ready"
    answer = reading.get(f"GET {url}")
    word, reason = parse_ready(answer.status, answer.body)
    because = f" ({reason})" if reason else ""
    return word, f"GET {url}: {answer.status} {word}{because}"


@reader
def link_address(snapshot: Snapshot, target: str, read: Read, limit: Limit) -> tuple[Value, str]:
    """1 where a client that HAProxy sent to this replica arrived there under its own address."""
    server = target.partition("/")[2]
    given = [c for c in snapshot.clients if c.server == server and c.seen_as]
    if not given:
        raise Unread(f"HAProxy sent {server} none of the collector's connections")
    # HAProxy must pass on the address that it sees. `client_address` checks whether that is right.
    results = [_arrived(snapshot, server, client.seen_as) for client in given]
    return min(results, key=lambda pair: pair[0])


@reader
def client_address(snapshot: Snapshot, target: str, read: Read, limit: Limit) -> tuple[Value, str]:
    """1 where the connection to the published address reached a replica under its own address."""
    client = _published(snapshot)
    local, seen = client.local, client.seen_as
    if not seen:
        raise Unread(f"published {client.remote}: {client.error or 'HAProxy has no session'}")
    if seen != local:
        return 0, f"connected to {client.remote} from {local}; HAProxy sees {seen}"
    if not client.server:
        raise Unread(f"HAProxy sees {seen}, and sent it to no replica")
    return _arrived(snapshot, client.server, local)


def _published(snapshot: Snapshot) -> Connection:
    for client in snapshot.clients:
        if client.via == "published":
            if client.error:
                raise Unread(f"published {client.remote}: {client.error}")
            return client
    raise Unread("no connection to the published address was asked for")


def _arrived(snapshot: Snapshot, server: str, own: str) -> tuple[int, str]:
    """Whether the client reached the replica under its own address, from a PROXY header.

    The log has address and port, so it comes first. Telemt logs clients at debug level only, but
    counts the address of every failed handshake, and all of the collector's handshakes fail here.

    Raises:
        Unread: neither names a client since the collector began, so the answer is not known.
    """
    logged = logged_clients(snapshot.logs.get(server, ()))
    if any(entry.client == own and entry.by_header for entry in logged):
        return 1, f"{own} reached {server} under its own address, as its log shows"
    if logged:
        others = _some(f"{entry.client} ({entry.via})" for entry in logged)
        return 0, f"HAProxy sent {own} to {server}, whose log names only {others}"
    try:
        counted = counted_clients(answers(snapshot, server).failed)
    except (ParseError, Unread) as problem:
        raise Unread(f"{server}'s log names no client, and {problem}") from problem
    ip = ip_of(own)
    if ip in counted:
        seen = f"{ip} grew by {counted[ip]} on /beobachten"
        return 1, f"{own} reached {server} under its own address: {seen}"
    given = sum(1 for client in snapshot.clients if client.server == server)
    instead = {ip: more for ip, more in counted.items() if more >= given}
    if not instead:
        raise Unread(
            f"HAProxy sent {own} to {server}, which counted neither it nor another address"
        )
    others = _some(f"{ip} (+{more})" for ip, more in instead.items())
    return 0, f"HAProxy sent {own} to {server}, but {others} grew on /beobachten instead"


def _some(names: Iterable[str]) -> str:
    """The first few names, each once."""
    found = list(dict.fromkeys(names))
    return ", ".join(found[:_SHOWN]) + (", ..." if len(found) > _SHOWN else "")
