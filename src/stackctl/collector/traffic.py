"""The probe's connections, seen from HAProxy's side while they are open."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator, Sequence
from itertools import count
from typing import Any

from stackctl.collector import clients, livesock, netns
from stackctl.collector.admin import Admin, Session, held, looks_young, servers, source_of
from stackctl.collector.arrivals import Moments
from stackctl.collector.clients import Client
from stackctl.collector.reading import Deadline, failure

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


def collect(
    worker: int,
    target: dict[str, Any],
    client: dict[str, Any],
    deadline: Deadline,
    moments: Moments,
) -> list[dict[str, Any]]:
    """Connect, look at HAProxy's sessions and sockets for each connection, close.

    Runs in a thread of its own: it ends in HAProxy's network namespace.
    """
    moments.await_read(deadline.left(_READ))
    began = time.monotonic()
    admin = Admin(worker, target["admin_socket"], deadline)
    out: list[Client] = []
    if client.get("published"):
        host, port = client["published"]
        out.append(clients.published((str(host), int(port)), deadline))
    try:
        try:
            if client.get("inside"):
                host, port = client["inside"]
                netns.enter(worker)
                to = (str(host), int(port))
                # In one list with the published one, as far as that has kept its address.
                out += _cover(admin, to, target["backend"], deadline, tuple(out))
        finally:
            _recognise(admin, [one for one in out if one.record["via"] == "published"], began)
        for one in out:
            _look(admin, worker, one.record)
    except (OSError, ValueError) as problem:
        records = [one.record for one in out]
        for record in records:
            if "sockets" not in record:
                record.setdefault("error", failure(problem)["error"])
        if client.get("inside") and not any(record["via"] == "inside" for record in records):
            nothing = {"via": "inside", "local": "", "remote": ""}
            records.append({**nothing, **failure(problem)})
        return records
    finally:
        moments.await_read(deadline.left(_READ_LATE))
        clients.close(out)
    return [one.record for one in out]


def _own_sessions(admin: Admin, sources: set[str]) -> dict[str, Session]:
    raw = {source.encode() for source in sources}
    found = admin.sessions(lambda line: source_of(line) in raw, lambda session: True)
    return {session.source.removeprefix("::ffff:"): session for session in found}


def _note(record: dict[str, Any], session: Session) -> None:
    record["session"] = {"line": session.line, "id": session.id}
    record["seen_as"] = session.source.removeprefix("::ffff:")
    record["server"] = session.connected
    record["fds"] = [session.client_fd, session.server_fd]


def _recognise(admin: Admin, published: list[Client], began: float) -> None:
    """Find the published connection, by its address or, where that was rewritten, its length."""
    for client in published:
        if "error" in client.record or client.record.get("server"):
            continue
        same: list[Session] = []
        for _ in _lists():
            same = _same(admin, client, began)
            if len(same) == 1 and same[0].connected:
                break
        if len(same) == 1:
            _note(client.record, same[0])
        else:
            client.record["error"] = f"{len(same)} of HAProxy's sessions look like this connection"


def _same(admin: Admin, client: Client, began: float) -> list[Session]:
    local = client.record["local"]

    def own(source: str) -> bool:
        return bool(source.removeprefix("::ffff:") == local)

    # A list that takes long tells of a greater age: who kept the address is known by that alone.
    found = admin.sessions(
        lambda line: source_of(line) == local.encode() or looks_young(line),
        lambda s: own(s.source) or s.younger(time.monotonic() - began),
    )
    same = [s for s in found if own(s.source)]
    if same:
        client.record.pop("recognised_by", None)
        return same
    client.record["recognised_by"] = f"{len(client.payload)} bytes sent"
    return [s for s in found[-_CANDIDATES:] if _carried(admin, s) == len(client.payload)]


def _carried(admin: Admin, session: Session) -> int:
    match = _TOTAL.search(admin.ask(f"show sess {session.id}"))
    return int(match[1]) if match else -1


def _cover(
    admin: Admin, to: tuple[str, int], backend: str, deadline: Deadline, also: Sequence[Client]
) -> list[Client]:
    """Connections until every server that is up has one; the others are closed again.

    What the lists say of `also` is noted, and not waited for.
    """
    wanted = set(servers(admin.ask("show stat"), backend))
    kept: list[Client] = []
    left = max(1, len(wanted)) * _FOR_EACH_SERVER
    end = time.monotonic() + deadline.left(_COVER)
    at_once = _AT_ONCE_OF_MANY if held(admin.ask("show info")) > _MANY else _AT_ONCE
    while left > 0 and time.monotonic() < end:
        missing = wanted - {one.record.get("server") for one in kept}
        if kept and not missing:
            break
        batch = clients.inside(to, min(left, 64, at_once * max(1, len(missing))), deadline)
        left -= len(batch)
        _assign(admin, batch, also)
        for one in batch:
            server = one.record.get("server")
            if server in missing or not kept:
                missing.discard(server)
                kept.append(one)
            else:
                clients.close([one])
    return kept


def _assign(admin: Admin, batch: list[Client], also: Sequence[Client]) -> None:
    """Wait until HAProxy has connected each of them to a server, at most two seconds."""
    open_ones = {one.record["local"]: one for one in batch if "error" not in one.record}
    for _ in _lists():
        if not open_ones:
            return
        more = {one.record["local"]: one for one in also if "error" not in one.record}
        for source, session in _own_sessions(admin, {*open_ones, *more}).items():
            one = open_ones.get(source) or more[source]
            _note(one.record, session)
            if session.connected:
                open_ones.pop(source, None)
    for one in open_ones.values():
        one.record.setdefault("error", "HAProxy connected this client to no server within 2 s")


def _lists() -> Iterator[None]:
    """As often as HAProxy's list is worth reading: for _SEEN, and _LISTS times at least."""
    end = time.monotonic() + _SEEN
    for number in count():
        if number >= _LISTS and time.monotonic() >= end:
            return
        time.sleep(_POLL)
        yield


def _look(admin: Admin, worker: int, record: dict[str, Any]) -> None:
    """The session in full, and the options of HAProxy's own two sockets."""
    if "session" not in record:
        return
    answer = admin.reading(f"show sess {record['session']['id']}")
    record["session"].update(answer)
    client_fd, server_fd = record.pop("fds")
    none = {"error": "HAProxy has no connection to a server for this client"}
    record["sockets"] = {
        "client": livesock.options(worker, client_fd, record["seen_as"]),
        "server": livesock.options(worker, server_fd) if server_fd >= 0 else none,
    }
