"""Handshakes as clients make them: through the published address, and with each replica.

This module records facts: what each hop did, what a second try with another PROXY header did, and
what the replica counted meanwhile. `handshake/stack_explain.py` judges the likely cause.
"""

from __future__ import annotations

import hashlib
import os
import socket
import threading
import time
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import partial
from itertools import product
from typing import NamedTuple

from stackctl.collector import clients, netns, process, telemt, users
from stackctl.collector.answer import Arrived, HandshakeRecord, Handshakes, Reading, Tried, Unread
from stackctl.collector.attempt import Address, OpenHandshake, Route, client, shake
from stackctl.collector.haproxy import Admin, source_of
from stackctl.collector.process import Processes
from stackctl.collector.reading import Deadline, failure
from stackctl.collector.request import HandshakesAsked, HaproxyTarget, ReplicaTarget, Request
from stackctl.collector.target import NotTheTarget, identify

PUBLISHED = "published"
"""The place of handshakes through the address that clients reach."""

RETRY = 2.0
"""Seconds for a second try, after the first one failed."""

_AT_ONCE = 32
_BATCH = 16
_ONCE_WAITED = 1.0
_SHOWN = 0.5
_POLL = 0.05
_INSTEAD = 3


def collect(request: Request, processes: Processes, deadline: Deadline) -> Handshakes:
    """All handshakes, and for each replica how its users compare with the operator's.

    Raises:
        NotTheTarget: no HAProxy was named, from which replicas are reached.
        ImportError: the image lacks the client.
    """
    client()  # loaded here, because the threads would wait for each other to load it
    haproxy, asked = request.haproxy, request.handshakes
    if haproxy is None or asked is None:
        raise NotTheTarget("handshakes were asked for without a haproxy target")
    worker = identify(haproxy, processes).pid
    this = HandshakeRun(asked, deadline)
    wanted = [replica for replica in request.replicas if replica.name in asked.ways]

    def look(replica: ReplicaTarget) -> Reading[Place]:
        try:
            return Reading(place(asked, replica, identify(replica, processes).pid, worker))
        except (OSError, LookupError, Unread) as problem:
            return failure(problem)

    with ThreadPoolExecutor(max_workers=_AT_ONCE) as pool:
        names = [replica.name for replica in wanted]
        places = dict(zip(names, pool.map(look, wanted), strict=True))
        there = {name: one.value for name, one in places.items() if one.value}
        # The published address comes first, so that it does not wait for the replicas.
        steps = [partial(through_published, this, worker, haproxy, there)]
        steps += [partial(with_replica, this, name, one) for name, one in places.items()]
        for step in [pool.submit(step) for step in steps]:
            step.result()
    told = {name: one.users.secrets for name, one in there.items()}
    return Handshakes(tuple(this.records), told)


class HandshakeRun:
    """What all handshakes of one run share: the request, the time left, and the records.

    Attributes:
        asked: what the request says of handshakes.
        deadline: of the collector's whole run.
        records: what was seen, one for each handshake.
    """

    def __init__(self, asked: HandshakesAsked, deadline: Deadline) -> None:
        """Start the clock for all handshakes."""
        self.asked = asked
        self.deadline = deadline
        self.records: list[HandshakeRecord] = []
        self._end = time.monotonic() + asked.seconds
        self._lock = threading.Lock()

    def attempt(self, route: Route, user: str, mode: str, seconds: float) -> OpenHandshake:
        """Make one handshake; the caller closes its connection."""
        key = bytes.fromhex(self.asked.users[user])
        domain = self.asked.domain if mode == "tls" else ""
        end = min(time.monotonic() + seconds, self._end)
        return shake(route, client().Secret(mode, key, domain), self.asked.dc, end)

    def note(self, record: HandshakeRecord) -> None:
        """Keep a record."""
        with self._lock:
            self.records.append(record)

    def over(self, place: str, user: str, mode: str) -> bool:
        """Whether there is no time left for this handshake; if so, a record says that."""
        if time.monotonic() < self._end:
            return False
        words = f"not tried: the {self.asked.seconds:g} s for all handshakes are over"
        self.note(HandshakeRecord(place, user, mode, error=words))
        return True

    def patience(self) -> Patience:
        """How long to wait at one place."""
        return Patience(self.asked.each)


class Patience:
    """Seconds for a handshake. Where one client timed out the next ones get less time."""

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds

    def after(self, tried: Tried) -> None:
        """Shorten it once a handshake has timed out."""
        if tried.ended and tried.ended.cause == "timeout":
            self.seconds = min(self.seconds, _ONCE_WAITED)


def named(user: str) -> Address:
    """The client that a header names: an address of the network reserved for tests (198.18/15).

    It is the same for a user every time, so a user with a limit of addresses loses only one to it.
    """
    digest = hashlib.sha256(user.encode()).digest()
    host = f"198.{18 + digest[0] % 2}.{digest[1]}.{1 + digest[2] % 254}"
    return host, 1024 + int.from_bytes(os.urandom(2), "big") % 64000


def came_to(published: Address | None) -> Address:
    """The destination address in the header: the published one, if that is IPv4."""
    return published if published and ":" not in published[0] else ("198.18.0.1", 443)


class Place(NamedTuple):
    """A replica.

    Attributes:
        pid: the live process.
        route: how HAProxy reaches it.
        api: where its API answers, in its own network namespace.
        metrics: where its metrics page is, likewise.
        secrets: path, in its root, of the file with its API's secret.
        users: the users that it runs with.
    """

    pid: int
    route: Route
    api: Address
    metrics: Address
    secrets: str
    users: users.RunningUsers


def place(asked: HandshakesAsked, target: ReplicaTarget, pid: int, worker: int) -> Place:
    """Where a replica is.

    Args:
        asked: what the request says of handshakes.
        target: the replica.
        pid: its live process.
        worker: HAProxy's live worker.

    Raises:
        OSError: HAProxy's root cannot be read.
        LookupError: the request has no address for it.
    """
    way = asked.ways[target.name]
    if way.socket:
        # The path below HAProxy's root leads to the very socket that HAProxy connects to.
        route = Route(lambda: socket.socket(socket.AF_UNIX), process.inside(worker, way.socket))
    elif way.address:
        # From HAProxy's namespace: the replica trusts PROXY headers from its address only.
        route = Route(lambda: netns.inside(worker, socket.socket), way.address)
    else:
        raise LookupError(f"no address of {target.name} was given")
    running = users.running(pid, target.config, asked.users)
    return Place(pid, route, target.api, target.metrics, target.users, running)


def with_replica(this: HandshakeRun, name: str, there: Reading[Place]) -> None:
    """Try every user and mode, one after the other, so that a user has one connection at a time.

    Args:
        this: the run.
        name: the replica's.
        there: the replica, or why it cannot be reached at all.
    """
    patience, examined = this.patience(), set[str]()
    for user, mode in product(this.asked.users, this.asked.modes):
        if there.value is None:
            this.note(HandshakeRecord(name, user, mode, error=there.error))
            continue
        if this.over(name, user, mode):
            continue
        where = there.value
        one = this.attempt(_with_header(this, where, user), user, mode, patience.seconds)
        came = None
        if one.answered and this.asked.arrivals:
            came = arrived(where, user, one.tried.client, this.deadline)
        record = HandshakeRecord(name, user, mode, one.close(), arrived=came)
        patience.after(record.tried)
        if not one.answered and mode not in examined:
            examined.add(mode)
            record = _examined(this, record, where)
        this.note(record)


def _with_header(this: HandshakeRun, where: Place, user: str) -> Route:
    return where.route._replace(named=(named(user), came_to(this.asked.published)))


def _examined(this: HandshakeRun, record: HandshakeRecord, where: Place) -> HandshakeRecord:
    """Try again while the replica's counters are watched, then once without a header."""
    user, mode = record.user, record.mode

    def counted() -> dict[str, float]:
        return telemt.metrics(where.metrics, user, this.deadline)

    again = None
    try:
        before = netns.inside(where.pid, counted)
        again = this.attempt(_with_header(this, where, user), user, mode, RETRY).close()
        counts = Reading(telemt.grown(before, netns.inside(where.pid, counted)))
    except (OSError, ValueError) as problem:
        counts = failure(problem)
    bare = this.attempt(where.route, user, mode, RETRY).close()
    most = where.users.most.get(user)
    return replace(record, again=again, counted=counts, most=most, without_header=bare)


def arrived(where: Place, user: str, own: str, deadline: Deadline) -> Reading[Arrived]:
    """Whether the replica names our address among those from which the user is connected.

    Args:
        where: the replica.
        user: whose handshake it is.
        own: address:port of the client, whose connection is open.
        deadline: of the whole run.
    """
    ip = own.rpartition(":")[0]
    end = time.monotonic() + _SHOWN
    try:
        auth = telemt.authorization(where.pid, where.secrets)
        ask = partial(telemt.active, where.api, user, deadline, auth)
        while ip not in (seen := netns.inside(where.pid, ask)):
            if time.monotonic() > end:
                return Reading(Arrived(named=False, instead=tuple(seen[:_INSTEAD])))
            time.sleep(_POLL)
    except (OSError, ValueError) as problem:
        return failure(problem)
    return Reading(Arrived(named=True))


@dataclass(slots=True)
class OpenRecord:
    """A handshake through the published address, with its connection still open."""

    record: HandshakeRecord
    one: OpenHandshake


def through_published(
    this: HandshakeRun, worker: int, haproxy: HaproxyTarget, places: Mapping[str, Place]
) -> None:
    """Try every user and mode; a batch stays open while HAProxy tells which replica each got.

    Runs in the host's network namespace.

    Args:
        this: the run.
        worker: HAProxy's live worker.
        haproxy: the target.
        places: the replicas that could be reached, by name.
    """
    to = this.asked.published
    if not to:
        return
    family = socket.AF_INET6 if ":" in to[0] else socket.AF_INET
    (source,) = clients.sources_for(to, 1)
    route = Route(lambda: socket.socket(family), to, None, source)
    admin = Admin(worker, haproxy.admin_socket, this.deadline)
    patience, examined = this.patience(), set[str]()
    wanted = list(product(this.asked.modes, this.asked.users))
    for at in range(0, len(wanted), _BATCH):
        kept: list[OpenRecord] = []
        for mode, user in wanted[at : at + _BATCH]:
            if this.over(PUBLISHED, user, mode):
                continue
            one = this.attempt(route, user, mode, patience.seconds)
            patience.after(one.tried)
            kept.append(OpenRecord(HandshakeRecord(PUBLISHED, user, mode, one.tried), one))
        _recognise(this, admin, kept, places)
        for open_record in kept:
            open_record.one.close()
            record = open_record.record
            if not open_record.one.answered and record.mode not in examined:
                examined.add(record.mode)
                record = replace(record, with_header=_with_own_header(this, route, record))
            this.note(record)


def _with_own_header(this: HandshakeRun, route: Route, record: HandshakeRecord) -> Tried:
    """Try again with our own header: a replica that gets none from HAProxy accepts it."""
    header = (named(record.user), came_to(this.asked.published))
    other = this.attempt(route._replace(named=header), record.user, record.mode, RETRY)
    return other.close()


def _recognise(
    this: HandshakeRun, admin: Admin, kept: list[OpenRecord], places: Mapping[str, Place]
) -> None:
    """Note to which replica HAProxy sent each open connection, and under which address."""
    own = {one.record.tried.local: one for one in kept if one.record.tried.local}
    raw = {local.encode() for local in own}
    try:
        found = admin.sessions(lambda line: source_of(line) in raw, lambda _: True) if own else []
    except (OSError, ValueError):
        return  # seen_as and server stay empty: which replica they got is not known
    for session in found:
        local = session.source.removeprefix("::ffff:")
        one = own[local]
        where, came = places.get(session.connected), None
        if where and one.one.answered and this.asked.arrivals:
            came = arrived(where, one.record.user, local, this.deadline)
        one.record = replace(one.record, seen_as=local, server=session.connected, arrived=came)
