"""Readers of the replicas: file, readiness, and the client addresses that arrive there."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from stackctl.limits import Limit, Read, Value
from stackctl.observe.configfile import toml_value
from stackctl.observe.evidence import reader
from stackctl.observe.limitfile import ParseError
from stackctl.observe.model import Snapshot, Unread
from stackctl.observe.read_haproxy import live_file
from stackctl.observe.replica import counted_clients, ip_of, logged_clients, parse_ready

_READY_PATH = "/v1/health/ready"
_SHOWN = 3


@reader
def config(snapshot: Snapshot, target: str, read: Read, limit: Limit) -> tuple[Value, str]:
    """A key of the file the live process was started from."""
    found = snapshot.target(target)
    got = toml_value(live_file(found), read.arg)
    return got, f"{found['config']['path']}: {read.arg} = {got}"


@reader
def ready(snapshot: Snapshot, target: str, read: Read, limit: Limit) -> tuple[Value, str]:
    """`ready` or `not-ready`, as Telemt answers inside its own namespace."""
    answer = snapshot.target(target).get("api", {}).get(_READY_PATH)
    if answer is None:
        raise Unread(f"{target}'s API was not asked")
    if "error" in answer:
        raise Unread(f"GET {answer.get('from', _READY_PATH)}: {answer['error']}")
    word, reason = parse_ready(int(answer["status"]), answer["body"])
    because = f" ({reason})" if reason else ""
    return word, f"GET {answer.get('from', _READY_PATH)}: {answer['status']} {word}{because}"


@reader
def link_address(snapshot: Snapshot, target: str, read: Read, limit: Limit) -> tuple[Value, str]:
    """1 where a client that HAProxy gave to this replica arrived there under its own address."""
    server = target.partition("/")[2]
    if snapshot.client_error:
        raise Unread(f"no connection was made: {snapshot.client_error}")
    given = [c for c in snapshot.clients if c.get("server") == server and c.get("seen_as")]
    if not given:
        raise Unread(f"HAProxy gave {server} none of the probe's connections")
    # What HAProxy sees is what it must hand on; how it came to see it is client_address' matter.
    results = [_arrived(snapshot, server, str(client["seen_as"])) for client in given]
    return min(results, key=lambda pair: pair[0])


@reader
def client_address(snapshot: Snapshot, target: str, read: Read, limit: Limit) -> tuple[Value, str]:
    """1 where the connection to the published address arrived at a replica under its own."""
    client = _published(snapshot)
    local, seen = str(client["local"]), str(client.get("seen_as", ""))
    if not seen:
        raise Unread(
            f"published {client['remote']}: {client.get('error', 'HAProxy has no session')}"
        )
    if seen != local:
        return 0, f"connected to {client['remote']} from {local}; HAProxy sees {seen}"
    if not client.get("server"):
        raise Unread(f"HAProxy sees {seen}, and gave it to no replica")
    return _arrived(snapshot, str(client["server"]), local)


def _published(snapshot: Snapshot) -> Mapping[str, Any]:
    if snapshot.client_error:
        raise Unread(f"no connection was made: {snapshot.client_error}")
    for client in snapshot.clients:
        if client["via"] == "published":
            if client.get("error"):
                raise Unread(f"published {client['remote']}: {client['error']}")
            return client
    raise Unread("no connection to the published address was asked for")


def _arrived(snapshot: Snapshot, server: str, own: str) -> tuple[int, str]:
    """Whether the client came to the replica under its own address, brought by a PROXY header.

    The log has address and port and is believed first. Telemt names clients there at debug level
    only, but counts the address of every handshake that fails, and the probe's all do.

    Raises:
        Unread: neither names a client since the probe began, so it cannot be told.
    """
    logged = logged_clients(snapshot.logs.get(server, ()))
    if any(entry.client == own and entry.by_header for entry in logged):
        return 1, f"{own} came to {server} under its own address, as its log says"
    if logged:
        others = _some(f"{entry.client} ({entry.via})" for entry in logged)
        return 0, f"{own} was given to {server}, whose log since names only {others}"
    try:
        counted = counted_clients(snapshot.target(server).get("beobachten"))
    except ParseError as problem:
        raise Unread(f"{server}'s log names no client since, and {problem}") from problem
    ip = ip_of(own)
    if ip in counted:
        seen = f"beobachten: {ip} {counted[ip]} more"
        return 1, f"{own} came to {server} under its own address, {seen}"
    given = sum(1 for client in snapshot.clients if client.get("server") == server)
    instead = {ip: more for ip, more in counted.items() if more >= given}
    if not instead:
        raise Unread(f"{own} was given to {server}, which names neither it nor another instead")
    others = _some(f"{ip} {more} more" for ip, more in instead.items())
    return 0, f"{own} was given to {server}, beobachten: {others}, and none under its own"


def _some(names: Iterable[str]) -> str:
    """The first few names, each once."""
    found = list(dict.fromkeys(names))
    return ", ".join(found[:_SHOWN]) + (", ..." if len(found) > _SHOWN else "")
