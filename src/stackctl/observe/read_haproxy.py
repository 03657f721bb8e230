"""Readers of HAProxy: its admin socket, its live sessions and sockets, its file."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

from stackctl.limits import Kind, Limit, Read, Value
from stackctl.limits.values import parse
from stackctl.observe.configfile import haproxy_directive, haproxy_value, spread_ports
from stackctl.observe.evidence import reader
from stackctl.observe.haproxy import (
    as_printed,
    parse_info,
    parse_pools,
    parse_session,
    parse_stat,
    printed_seconds,
)
from stackctl.observe.limitfile import ParseError
from stackctl.observe.model import Snapshot, Unread, text_of, value_of
from stackctl.plan.ports import TELEMT_PORT

SLACK_SECONDS = 0.05
"""A process's start is known to one clock tick (10 ms), a file's change to less."""

_NSPID = re.compile(r"^NSpid:.*\s(\d+)$", re.MULTILINE)


def live_file(found: Mapping[str, Any]) -> str:
    """The configuration the live process was started from.

    Raises:
        Unread: it cannot be read, or has changed since: the process may run another one.
    """
    config = found["config"]
    text = text_of(config, str(config.get("path", "its configuration")))
    # Content and directory entry: a file moved into place keeps an old modification time.
    changed, started = max(config["mtime"], config["ctime"]), found["process"]["started"]
    if changed > started + SLACK_SECONDS:
        raise Unread(
            f"{config['path']} changed after the process started ({changed - started:.1f} s): "
            "what runs is not what is written"
        )
    return text


def _said(snapshot: Snapshot, target: str, command: str) -> str:
    """HAProxy's answer to a command.

    Raises:
        Unread: it does not answer, or another process than the live worker does.
    """
    found = snapshot.target(target.partition("/")[0])
    info = parse_info(text_of(found["admin"].get("show info"), "show info"))
    status = text_of(found["process"]["status"], "status of the live worker")
    inside = _NSPID.search(status)
    if inside is None or info.get("Pid") != inside[1]:
        raise Unread(
            f"the admin socket answers for process {info.get('Pid')} of the container, the live "
            f"worker is {inside[1] if inside else 'unknown'}"
        )
    return text_of(found["admin"].get(command), command)


def _number(kind: Kind, text: str, what: str) -> Value:
    try:
        return parse(kind, text)
    except ValueError as error:
        raise ParseError(f"{what}: {error}") from error


@reader
def info(snapshot: Snapshot, target: str, read: Read, limit: Limit) -> tuple[Value, str]:
    """A field of `show info`."""
    fields = parse_info(_said(snapshot, target, "show info"))
    if read.arg not in fields:
        raise ParseError(f"show info: no field {read.arg}")
    got = _number(limit.kind, fields[read.arg], f"show info: {read.arg}")
    return got, f"show info: {read.arg}: {fields[read.arg]}"


@reader
def stat(snapshot: Snapshot, target: str, read: Read, limit: Limit) -> tuple[Value, str]:
    """`frontend.FIELD` of the clients' frontend, or `server.FIELD` of a link's server."""
    rows = parse_stat(_said(snapshot, target, "show stat"))
    haproxy, _, server = target.partition("/")
    asked = snapshot.asked(haproxy)
    kind, _, field = read.arg.partition(".")
    name = (asked["frontend"], "FRONTEND") if kind == "frontend" else (asked["backend"], server)
    row = rows.get(name)
    if row is None:
        raise ParseError(f"show stat: no {kind} {'/'.join(name)}")
    # A star before it means that another check is on its way; the word is the last one's.
    text = row.get(field, "").removeprefix("* ")
    if not text:
        raise Unread(f"show stat: {'/'.join(name)} has no {field}")
    got = _number(limit.kind, text, f"show stat: {field}")
    return got, f"show stat: {'/'.join(name)} {field} {text}"


@reader
def pool(snapshot: Snapshot, target: str, read: Read, limit: Limit) -> tuple[Value, str]:
    """Bytes of one object of a pool."""
    pools = parse_pools(_said(snapshot, target, "show pools"))
    if read.arg not in pools:
        raise ParseError(f"show pools: no pool {read.arg}")
    return pools[read.arg], f"show pools: {read.arg} ({pools[read.arg]} bytes)"


@reader
def config(snapshot: Snapshot, target: str, read: Read, limit: Limit) -> tuple[Value, str]:
    """A directive of the file the live worker was started from."""
    found, asked = snapshot.target(target), snapshot.asked(target)
    text = live_file(found)
    word = haproxy_directive(text, read.arg, asked["frontend"], asked["backend"])
    got = haproxy_value(limit.kind, word)
    return got, f"{found['config']['path']}: {read.arg} {word}"


@reader
def spread(snapshot: Snapshot, target: str, read: Read, limit: Limit) -> tuple[Value, str]:
    """How many ports of each replica the live worker's file spreads clients over."""
    found, asked = snapshot.target(target), snapshot.asked(target)
    ports = spread_ports(live_file(found), asked["backend"], TELEMT_PORT)
    return ports, f"{found['config']['path']}: clients go to {ports} of each replica's ports"


def _each(snapshot: Snapshot, look: Callable[[Mapping[str, Any]], Any]) -> list[Any]:
    """What `look` makes of each of the probe's connections that HAProxy took; None is left out.

    Raises:
        Unread: there was no connection.
    """
    if snapshot.client_error:
        raise Unread(f"no connection was made: {snapshot.client_error}")
    taken = [client for client in snapshot.clients if client.get("session")]
    if not taken:
        problems = sorted({str(c["error"]) for c in snapshot.clients if c.get("error")})
        raise Unread("the probe has no connection in HAProxy: " + ("; ".join(problems) or "none"))
    return [seen for seen in map(look, taken) if seen is not None]


@reader
def session(snapshot: Snapshot, target: str, read: Read, limit: Limit) -> tuple[Value, str]:
    """The idle timeout of the probe's own live sessions, on one side.

    A session that its replica has half-closed shows the -fin timeout instead, which is shorter:
    the longest counts. A wrong timeout stands on every session.
    """

    def look(client: Mapping[str, Any]) -> str:
        parsed = parse_session(text_of(client["session"], "show sess"))
        return parsed.client if read.arg == "client" else parsed.server_side

    printed = sorted(set(_each(snapshot, look)), key=printed_seconds)
    side = "scf" if read.arg == "client" else "scb"
    source = f"show sess: {side} ioto={' '.join(printed)}"
    got = printed_seconds(printed[-1])
    exact = _file_seconds(snapshot, target, f"timeout {read.arg}")
    if exact is not None and exact != got and as_printed(exact) == got:
        return exact, f"{source} (HAProxy prints two units; the file's {exact} s print the same)"
    return got, source


def _file_seconds(snapshot: Snapshot, target: str, name: str) -> int | None:
    try:
        asked = snapshot.asked(target)
        text = live_file(snapshot.target(target))
        word = haproxy_directive(text, name, asked["frontend"], asked["backend"])
        seconds = haproxy_value(Kind.SECONDS, word)
    except (Unread, ParseError):
        return None
    return seconds if isinstance(seconds, int) else None


@reader
def live_socket(snapshot: Snapshot, target: str, read: Read, limit: Limit) -> tuple[Value, str]:
    """`client.PROPERTY` or `server.PROPERTY`: an option of HAProxy's own live socket."""
    side, _, name = read.arg.partition(".")
    asked = _ASKED_BUFFERS.get(name)

    def look(client: Mapping[str, Any]) -> int | None:
        options = client["sockets"][side]
        what = f"HAProxy's socket to its {side}"
        if options.get("error"):
            raise Unread(f"{what}: {options['error']}")
        if asked:
            return _asked_buffer(options, name, asked, what)
        if options["link"] != "tcp":
            return None
        if name.startswith("keep") and value_of(options.get("keepalive"), "SO_KEEPALIVE") == 0:
            return 0  # the numbers of a socket that is never probed are worth nothing
        return int(value_of(options.get(name), f"{what}, {name}"))

    values = sorted(set(_each(snapshot, look)))
    if not values:
        raise Unread(f"HAProxy has no TCP connection to its {side}: the link is a unix socket")
    shown = " ".join(map(str, values))
    off = ""
    if values[0] == 0 and name.startswith("keep"):
        off = " (0: SO_KEEPALIVE is off)"
    elif values[0] == 0 and asked:
        off = " (0: not bounded, it autotunes)"
    # Of buffers the largest is what a stalled client may hold; one that autotunes has no bound.
    got = values[-1] if asked and values[0] else values[0]
    return got, f"getsockopt on HAProxy's live socket to its {side}: {name} {shown}{off}"


_ASKED_BUFFERS = {"sndbuf": 1, "rcvbuf": 2}
"""Buffer → its bit in SO_BUF_LOCK, set where a program has asked for a size."""


def _asked_buffer(options: Mapping[str, Any], name: str, bit: int, what: str) -> int:
    """Bytes a program asked for; 0 where the kernel sizes the buffer on its own."""
    # A size alone proves nothing: an autotuned socket happens to begin with twice 65536, too.
    if not value_of(options.get("buffers_asked"), f"{what}, SO_BUF_LOCK") & bit:
        return 0
    # The kernel doubles what is asked for, to make room for its own bookkeeping.
    return int(value_of(options.get(name), f"{what}, {name}")) // 2
