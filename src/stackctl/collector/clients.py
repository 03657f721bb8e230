"""Connections really made to HAProxy, and seen from its side while they are open."""

from __future__ import annotations

import os
import re
import socket
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import count

from stackctl.collector import netns, sockets
from stackctl.collector.answer import Connection, Reading
from stackctl.collector.haproxy import Admin, Session, held, looks_young, servers, source_of
from stackctl.collector.reading import Deadline, failure
from stackctl.collector.request import ClientsAsked, HaproxyTarget
from stackctl.collector.telemt import Moments

# Not HTTP, not a TLS record (0x16), not an MTProto tag (0xef, 0xee, 0xdd).
_FIRST = b"\xa5"
# Below the 64 bytes of MTProto's first message: Telemt waits for the rest and keeps the connection
# where a whole wrong message would end it. And below the 16 bytes of the shortest PROXY v2 header:
# where HAProxy sends none, Telemt waits for the rest of what it takes for one, and the connection
# is still there when HAProxy is asked for it. No real client stays at such a number either.
_INSIDE_BYTES = 11
_PUBLISHED_BYTES = range(33, 63)
_BIND_ADDRESS_NO_PORT = 24
_STEP = 3.0
_FOR_EACH_SERVER = 64
# For each server that has none yet, all at once. Where HAProxy's list of its sessions is long there
# should be one round: at eight for each of eight servers one of 600 leaves a server out.
_AT_ONCE, _AT_ONCE_OF_MANY = 2, 8
_MANY = 20_000
_COVER = 3.0
# The kernel completes a connection and takes its bytes before HAProxy has accepted it, and on a
# busy machine long before HAProxy gives it a server. A list that takes longer than this is of the
# sessions there were when it began, so there is always a second one.
_SEEN = 2.0
_LISTS = 2
# Replicas that end a broken client at once are read before; the others by the time of its end.
_READ = 0.5
_READ_LATE = 5.0
_POLL = 0.02
_CANDIDATES = 64
_TOTAL = re.compile(r"\breq=.*?\btotal=(\d+)")


@dataclass(slots=True)
class OpenConnection:
    """A connection of the collector's own.

    Attributes:
        sock: its socket; `close` ends it.
        payload: what is sent on it.
        found: what is reported of it, as far as it is known by now.
        session: HAProxy's session of it, once that is known.
    """

    sock: socket.socket
    payload: bytes
    found: Connection
    session: Session | None = None

    def note(self, session: Session) -> None:
        """HAProxy's session of this connection."""
        self.session = session
        seen_as = session.source.removeprefix("::ffff:")
        self.found = replace(self.found, seen_as=seen_as, server=session.connected)

    def fail(self, words: str) -> None:
        """Why it came no further; the first reason stays."""
        self.found = replace(self.found, error=self.found.error or words)


def collect(
    worker: int, target: HaproxyTarget, asked: ClientsAsked, deadline: Deadline, moments: Moments
) -> tuple[Connection, ...]:
    """Connect, look at HAProxy's sessions and sockets for each connection, close.

    Runs in a thread of its own: it ends in HAProxy's network namespace.
    """
    moments.await_read(deadline.left(_READ))
    began = time.monotonic()
    admin = Admin(worker, target.admin_socket, deadline)
    out: list[OpenConnection] = []
    nothing: tuple[Connection, ...] = ()
    try:
        if asked.published:
            out.append(published(asked.published, deadline))
        try:
            if asked.inside:
                netns.enter(worker)
                # In one list with the published one, as far as that has kept its address.
                out += _cover(admin, asked.inside, target.backend, deadline, tuple(out))
        finally:
            _recognise(admin, [one for one in out if one.found.via == "published"], began)
        for one in out:
            _look(admin, worker, one)
    except (OSError, ValueError) as problem:
        words = failure(problem).error
        for one in out:
            if one.found.session is None:
                one.fail(words)
        if asked.inside and not any(one.found.via == "inside" for one in out):
            nothing = (Connection("inside", "", error=words),)
    finally:
        moments.await_read(deadline.left(_READ_LATE))
        close(out)
    return (*(one.found for one in out), *nothing)


def payload(size: int) -> bytes:
    """`size` random bytes that no protocol in the stack takes for the beginning of its own."""
    return _FIRST + os.urandom(size - 1)


def published_size() -> int:
    """A length that tells the published connection from every other in HAProxy's counters."""
    return _PUBLISHED_BYTES[os.urandom(1)[0] % len(_PUBLISHED_BYTES)]


def connect(
    via: str, to: tuple[str, int], size: int, deadline: Deadline, source: str = ""
) -> OpenConnection:
    """Connect and send the payload; a failure is reported of the connection."""
    family = socket.AF_INET6 if ":" in to[0] else socket.AF_INET
    sock = socket.socket(family, socket.SOCK_STREAM)
    one = OpenConnection(sock, payload(size), Connection(via, f"{to[0]}:{to[1]}"))
    try:
        sock.settimeout(deadline.left(_STEP))
        if source:
            # The port is chosen at connect(), so a busy port on another address does not matter.
            sock.setsockopt(socket.IPPROTO_IP, _BIND_ADDRESS_NO_PORT, 1)
            sock.bind((source, 0))
        sock.connect(to)
        one.found = replace(one.found, local=sockets.shown(sock.getsockname()))
        sock.sendall(one.payload)
        one.found = replace(one.found, sent=size)
    except OSError as problem:
        one.fail(failure(problem).error)
    return one


def sources(count: int) -> list[str]:
    """Loopback addresses in a random order, spread so that `balance source` spreads them too."""
    raw = os.urandom(3 * count)
    # Neither 127.0.0.x, which others use, nor an address ending in 0 or 255.
    return [
        f"127.{1 + raw[at] % 254}.{raw[at + 1]}.{1 + raw[at + 2] % 254}"
        for at in range(0, 3 * count, 3)
    ]


def sources_for(to: tuple[str, int], count: int) -> list[str]:
    """`count` addresses to connect from, where the destination is on loopback; else any."""
    return sources(count) if to[0].startswith("127.") else [""] * count


def inside(to: tuple[str, int], count: int, deadline: Deadline) -> list[OpenConnection]:
    """`count` connections from addresses of their own, where the destination is on loopback."""
    own = sources_for(to, count)
    return [connect("inside", to, _INSIDE_BYTES, deadline, source) for source in own]


def published(to: tuple[str, int], deadline: Deadline) -> OpenConnection:
    """The connection a client on this host would make."""
    # On loopback from an address of its own: as 127.0.0.1 come HAProxy and every unix peer too.
    (source,) = sources_for(to, 1)
    return connect("published", to, published_size(), deadline, source)


def close(connections: Sequence[OpenConnection]) -> None:
    """End the connections in order, with FIN."""
    for one in connections:
        one.sock.close()


def _own_sessions(admin: Admin, sources: set[str]) -> dict[str, Session]:
    raw = {source.encode() for source in sources}
    found = admin.sessions(lambda line: source_of(line) in raw, lambda session: True)
    return {session.source.removeprefix("::ffff:"): session for session in found}


def _recognise(admin: Admin, published: list[OpenConnection], began: float) -> None:
    """Find the published connection, by its address or, where that was rewritten, its length."""
    for client in published:
        if client.found.error or client.found.server:
            continue
        same: list[Session] = []
        for _ in _lists():
            same = _same(admin, client, began)
            if len(same) == 1 and same[0].connected:
                break
        if len(same) == 1:
            client.note(same[0])
        else:
            client.fail(f"{len(same)} of HAProxy's sessions look like this connection")


def _same(admin: Admin, client: OpenConnection, began: float) -> list[Session]:
    local = client.found.local

    def own(source: str) -> bool:
        return bool(source.removeprefix("::ffff:") == local)

    # A list that takes long tells of a greater age: who kept the address is known by that alone.
    found = admin.sessions(
        lambda line: source_of(line) == local.encode() or looks_young(line),
        lambda s: own(s.source) or s.younger(time.monotonic() - began),
    )
    same = [s for s in found if own(s.source)]
    if same:
        client.found = replace(client.found, recognised_by="")
        return same
    client.found = replace(client.found, recognised_by=f"{len(client.payload)} bytes sent")
    return [s for s in found[-_CANDIDATES:] if _carried(admin, s) == len(client.payload)]


def _carried(admin: Admin, session: Session) -> int:
    match = _TOTAL.search(admin.ask(f"show sess {session.id}"))
    return int(match[1]) if match else -1


def _cover(
    admin: Admin,
    to: tuple[str, int],
    backend: str,
    deadline: Deadline,
    also: Sequence[OpenConnection],
) -> list[OpenConnection]:
    """Connections until every server that is up has one; the others are closed again.

    What the lists say of `also` is noted, and not waited for.
    """
    wanted = set(servers(admin.ask("show stat"), backend))
    kept: list[OpenConnection] = []
    left = max(1, len(wanted)) * _FOR_EACH_SERVER
    end = time.monotonic() + deadline.left(_COVER)
    at_once = _AT_ONCE_OF_MANY if held(admin.ask("show info")) > _MANY else _AT_ONCE
    while left > 0 and time.monotonic() < end:
        missing = wanted - {one.found.server for one in kept}
        if kept and not missing:
            break
        batch = inside(to, min(left, 64, at_once * max(1, len(missing))), deadline)
        left -= len(batch)
        _assign(admin, batch, also)
        for one in batch:
            server = one.found.server
            if server in missing or not kept:
                missing.discard(server)
                kept.append(one)
            else:
                close([one])
    return kept


def _assign(admin: Admin, batch: list[OpenConnection], also: Sequence[OpenConnection]) -> None:
    """Wait until HAProxy has connected each of them to a server, at most two seconds."""
    open_ones = {one.found.local: one for one in batch if not one.found.error}
    for _ in _lists():
        if not open_ones:
            return
        more = {one.found.local: one for one in also if not one.found.error}
        for source, session in _own_sessions(admin, {*open_ones, *more}).items():
            one = open_ones.get(source) or more[source]
            one.note(session)
            if session.connected:
                open_ones.pop(source, None)
    for one in open_ones.values():
        one.fail("HAProxy connected this client to no server within 2 s")


def _lists() -> Iterator[None]:
    """As often as HAProxy's list is worth reading: for _SEEN, and _LISTS times at least."""
    end = time.monotonic() + _SEEN
    for number in count():
        if number >= _LISTS and time.monotonic() >= end:
            return
        time.sleep(_POLL)
        yield


def _look(admin: Admin, worker: int, one: OpenConnection) -> None:
    """The session in full, and the options of HAProxy's own two sockets."""
    session = one.session
    if session is None:
        return
    one.found = replace(
        one.found,
        session=admin.reading(f"show sess {session.id}"),
        client_socket=sockets.live(worker, session.client_fd, one.found.seen_as),
        server_socket=sockets.live(worker, session.server_fd)
        if session.server_fd >= 0
        else Reading(error="HAProxy has no connection to a server for this client"),
    )
