"""HAProxy: its answers on the admin socket, its live sessions and sockets, its file. Pure."""

from __future__ import annotations

import csv
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from stackctl.collector.answer import (
    Connection,
    HaproxyAnswers,
    LiveSocket,
    Reading,
    Target,
    Unread,
)
from stackctl.limits import Kind, Limit, Read, Value
from stackctl.limits.targets import HAPROXY
from stackctl.limits.values import parse
from stackctl.observe.configfile import haproxy_directive, haproxy_value, spread_ports
from stackctl.observe.observed import ParseError, reader
from stackctl.observe.snapshot import Snapshot
from stackctl.plan.ports import TELEMT_PORT

SLACK_SECONDS = 0.05
"""A process's start is known to one clock tick (10 ms), a file's change to less."""

_INFO = re.compile(r"^([A-Za-z][\w-]*): (.*)$")
_POOL = re.compile(r"^\s*- Pool (\S+) \((\d{1,18}) bytes\)")
_SOURCE = re.compile(r"^0x[0-9a-f]+: .*\bsource=(\S+)")
_SERVER = re.compile(r"^\s+server=(\S+)")
_SIDE = re.compile(r"^\s+(scf|scb)=\S+ .*\bioto=(\S+)")
_PRINTED = re.compile(r"(?:(\d{1,9})d)?(?:(\d{1,9})h)?(?:(\d{1,9})m)?(?:(\d{1,9})s)?")
_UNIT_SECONDS = (86400, 3600, 60, 1)
_NSPID = re.compile(r"^NSpid:.*\s(\d+)$", re.MULTILINE)
_ASKED_BUFFERS = {"sndbuf": 1, "rcvbuf": 2}
"""Buffer → its bit in SO_BUF_LOCK, which is set where a program has set the size."""


@dataclass(frozen=True, slots=True)
class Session:
    """A session as `show sess ID` describes it.

    Attributes:
        source: the client's address:port.
        server: name of the server it was given to; "" if none.
        client: idle timeout of the client's side as printed: `1h`, `59m59s`, `<NEVER>`.
        server_side: idle timeout of the server's side as printed.
    """

    source: str
    server: str
    client: str
    server_side: str


def parse_info(text: str) -> dict[str, str]:
    """`show info`: values by field name; lines of another form are left out."""
    matches = (_INFO.match(line) for line in text.splitlines())
    return {match[1]: match[2].strip() for match in matches if match}


def parse_stat(text: str) -> dict[tuple[str, str], dict[str, str]]:
    """`show stat`: rows by (proxy, server); FRONTEND and BACKEND are the proxies' own rows.

    Raises:
        ParseError: the heading is missing, or a row is not CSV.
    """
    if not text.startswith("# pxname,svname,"):
        raise ParseError(f"not the output of `show stat`: {text[:60]!r}")
    rows = {}
    try:
        for row in csv.DictReader(text.removeprefix("# ").splitlines()):
            name = (row.get("pxname") or "", row.get("svname") or "")
            rows[name] = {k: v for k, v in row.items() if isinstance(k, str) and v is not None}
    except csv.Error as error:
        raise ParseError(f"`show stat` is not CSV: {error}") from error
    return rows


def parse_pools(text: str) -> dict[str, int]:
    """`show pools`: bytes of one object of each pool, by the pool's name."""
    matches = (_POOL.match(line) for line in text.splitlines())
    return {match[1]: int(match[2]) for match in matches if match}


def parse_session(text: str) -> Session:
    """One session of `show sess ID`.

    Raises:
        ParseError: the session has ended, or a part of it is missing.
    """
    source = server = ""
    sides: dict[str, str] = {}
    for line in text.splitlines():
        if match := _SOURCE.match(line):
            if source:
                raise ParseError("two sessions where one was asked for")
            source = match[1]
        elif match := _SERVER.match(line):
            server = "" if match[1].startswith("<") else match[1]
        elif match := _SIDE.match(line):
            sides[match[1]] = match[2]
    if not source or "scf" not in sides or "scb" not in sides:
        raise ParseError(f"not the output of `show sess ID`: {text.strip()[:60]!r}")
    return Session(source, server, sides["scf"], sides["scb"])


def printed_seconds(text: str) -> int:
    """A time as HAProxy prints it, in seconds: `1h` is 3600, `59m59s` is 3599.

    HAProxy prints the two largest units and drops the rest: `1h30m` stands for 5400 to 5459.

    Raises:
        ParseError: the text is `<NEVER>`, which is not a number of seconds, or of another form.
    """
    match = _PRINTED.fullmatch(text)
    if not text or match is None:
        raise ParseError(f"not a time in seconds: {text[:60]!r}")
    return sum(
        int(count or 0) * unit for count, unit in zip(match.groups(), _UNIT_SECONDS, strict=True)
    )


def as_printed(seconds: int) -> int:
    """A number of seconds rounded down as HAProxy prints it: to its two largest units."""
    for unit, smaller in ((86400, 3600), (3600, 60)):
        if seconds >= unit:
            return seconds - seconds % smaller
    return seconds


def answers(snapshot: Snapshot) -> HaproxyAnswers:
    """HAProxy's answers on its admin socket.

    Raises:
        Unread: it does not run, or could not be read.
    """
    found = snapshot.target(HAPROXY).haproxy
    if found is None:
        raise Unread("HAProxy's admin socket was not asked")
    return found


def servers(snapshot: Snapshot) -> Mapping[str, Mapping[str, str]]:
    """`show stat` row of each replica's server by its name; empty if HAProxy did not answer."""
    try:
        rows = parse_stat(answers(snapshot).stat.get("show stat"))
        backend = snapshot.haproxy.backend
    except (Unread, ParseError):
        return {}
    own = {"FRONTEND", "BACKEND"}
    return {
        name: row for (proxy, name), row in rows.items() if proxy == backend and name not in own
    }


def live_file(found: Target) -> str:
    """The configuration file that the live process was started from.

    Raises:
        Unread: it cannot be read, or has changed since, so the process may run another version.
    """
    config = found.config
    text = config.text.get(config.path)
    # Both times count: a file that is moved into place keeps its old modification time.
    changed, started = max(config.mtime, config.ctime), found.process.started
    if changed > started + SLACK_SECONDS:
        raise Unread(
            f"{config.path} changed {changed - started:.1f} s after the process started: "
            "the process may run with another version of it"
        )
    return text


def _said(snapshot: Snapshot, command: str, of: Callable[[HaproxyAnswers], Reading[str]]) -> str:
    """HAProxy's answer to a command.

    Raises:
        Unread: HAProxy does not answer, or a process other than the live worker answers.
    """
    said = answers(snapshot)
    info = parse_info(said.info.get("show info"))
    status = snapshot.target(HAPROXY).process.status.get("status of the live worker")
    inside = _NSPID.search(status)
    if inside is None or info.get("Pid") != inside[1]:
        raise Unread(
            f"the admin socket belongs to process {info.get('Pid')} of the container; the live "
            f"worker is {inside[1] if inside else 'unknown'}"
        )
    return of(said).get(command)


def _number(kind: Kind, text: str, what: str) -> Value:
    try:
        return parse(kind, text)
    except ValueError as error:
        raise ParseError(f"{what}: {error}") from error


@reader
def info(snapshot: Snapshot, target: str, read: Read, limit: Limit) -> tuple[Value, str]:
    """A field of `show info`."""
    fields = parse_info(_said(snapshot, "show info", lambda said: said.info))
    if read.arg not in fields:
        raise ParseError(f"show info: no field {read.arg}")
    got = _number(limit.kind, fields[read.arg], f"show info: {read.arg}")
    return got, f"show info: {read.arg}: {fields[read.arg]}"


@reader
def stat(snapshot: Snapshot, target: str, read: Read, limit: Limit) -> tuple[Value, str]:
    """`frontend.FIELD` of the clients' frontend, or `server.FIELD` of a link's server."""
    rows = parse_stat(_said(snapshot, "show stat", lambda said: said.stat))
    server = target.partition("/")[2]
    asked = snapshot.haproxy
    kind, _, field = read.arg.partition(".")
    name = (asked.frontend, "FRONTEND") if kind == "frontend" else (asked.backend, server)
    row = rows.get(name)
    if row is None:
        raise ParseError(f"show stat: no {kind} {'/'.join(name)}")
    # A star before the word means that another check is under way; the word is the last check's.
    text = row.get(field, "").removeprefix("* ")
    if not text:
        raise Unread(f"show stat: {'/'.join(name)} has no {field}")
    got = _number(limit.kind, text, f"show stat: {field}")
    return got, f"show stat: {'/'.join(name)} {field} {text}"


@reader
def pool(snapshot: Snapshot, target: str, read: Read, limit: Limit) -> tuple[Value, str]:
    """Bytes of one object of a pool."""
    pools = parse_pools(_said(snapshot, "show pools", lambda said: said.pools))
    if read.arg not in pools:
        raise ParseError(f"show pools: no pool {read.arg}")
    return pools[read.arg], f"show pools: {read.arg} ({pools[read.arg]} bytes)"


@reader
def config(snapshot: Snapshot, target: str, read: Read, limit: Limit) -> tuple[Value, str]:
    """A directive of the file the live worker was started from."""
    found, asked = snapshot.target(target), snapshot.haproxy
    word = haproxy_directive(live_file(found), read.arg, asked.frontend, asked.backend)
    got = haproxy_value(limit.kind, word)
    return got, f"{found.config.path}: {read.arg} {word}"


@reader
def spread(snapshot: Snapshot, target: str, read: Read, limit: Limit) -> tuple[Value, str]:
    """Over how many ports of each replica the live worker's file spreads clients."""
    found = snapshot.target(target)
    ports = spread_ports(live_file(found), snapshot.haproxy.backend, TELEMT_PORT)
    return ports, f"{found.config.path}: clients are spread over {ports} ports of each replica"


def _taken(snapshot: Snapshot) -> list[Connection]:
    """The collector's connections that HAProxy accepted.

    Raises:
        Unread: there is none.
    """
    taken = [client for client in snapshot.clients if client.session is not None]
    if not taken:
        problems = sorted({client.error for client in snapshot.clients if client.error})
        words = "; ".join(problems) or "none"
        raise Unread(f"the collector has no connection in HAProxy: {words}")
    return taken


@reader
def session(snapshot: Snapshot, target: str, read: Read, limit: Limit) -> tuple[Value, str]:
    """The idle timeout of the collector's own live sessions, on one side.

    A session that its replica has half-closed shows the -fin timeout instead, which is shorter, so
    the longest counts. A wrong timeout shows on every session.
    """

    def look(client: Connection) -> str:
        assert client.session is not None
        parsed = parse_session(client.session.get("show sess"))
        return parsed.client if read.arg == "client" else parsed.server_side

    printed = sorted({look(client) for client in _taken(snapshot)}, key=printed_seconds)
    side = "scf" if read.arg == "client" else "scb"
    source = f"show sess: {side} ioto={' '.join(printed)}"
    got = printed_seconds(printed[-1])
    exact = _file_seconds(snapshot, target, f"timeout {read.arg}")
    if exact is not None and exact != got and as_printed(exact) == got:
        return exact, f"{source} (HAProxy prints two units only; {exact} s of the file print so)"
    return got, source


def _file_seconds(snapshot: Snapshot, target: str, name: str) -> int | None:
    try:
        asked = snapshot.haproxy
        text = live_file(snapshot.target(target))
        word = haproxy_directive(text, name, asked.frontend, asked.backend)
        seconds = haproxy_value(Kind.SECONDS, word)
    except (Unread, ParseError):
        return None
    return seconds if isinstance(seconds, int) else None


@reader
def live_socket(snapshot: Snapshot, target: str, read: Read, limit: Limit) -> tuple[Value, str]:
    """`client.PROPERTY` or `server.PROPERTY`: an option of HAProxy's own live socket."""
    side, _, name = read.arg.partition(".")
    asked = _ASKED_BUFFERS.get(name)

    def look(client: Connection) -> int | None:
        what = f"HAProxy's socket to its {side}"
        found = (client.client_socket if side == "client" else client.server_socket).get(what)
        if asked:
            return _asked_buffer(found, name, asked, what)
        if found.link != "tcp":
            return None
        if name.startswith("keep") and _option(found, "keepalive", "SO_KEEPALIVE") == 0:
            return 0  # without SO_KEEPALIVE the other options have no effect
        return _option(found, name, f"{what}, {name}")

    seen = map(look, _taken(snapshot))
    values = sorted({value for value in seen if value is not None})
    if not values:
        raise Unread(f"HAProxy has no TCP connection to its {side}: the link is a unix socket")
    shown = " ".join(map(str, values))
    off = ""
    if values[0] == 0 and name.startswith("keep"):
        off = " (0: SO_KEEPALIVE is off)"
    elif values[0] == 0 and asked:
        off = " (0: not bounded, it autotunes)"
    # The largest buffer is what a stalled client may hold; a buffer that autotunes has no bound.
    got = values[-1] if asked and values[0] else values[0]
    return got, f"getsockopt on HAProxy's live socket to its {side}: {name} {shown}{off}"


def _option(found: LiveSocket, name: str, what: str) -> int:
    reading = found.options.get(name)
    if reading is None:
        raise Unread(f"{what}: not read by the collector")
    value = reading.get(what)
    if type(value) is not int:
        raise ParseError(f"{what}: {value!r} is no number")
    return value


def _asked_buffer(found: LiveSocket, name: str, bit: int, what: str) -> int:
    """The size that a program set, in bytes; 0 where the kernel sizes the buffer itself."""
    # A size alone proves nothing: an autotuned socket may begin with twice 65536, too.
    if not _option(found, "buffers_asked", f"{what}, SO_BUF_LOCK") & bit:
        return 0
    # The kernel doubles what is asked for, to make room for its own bookkeeping.
    return _option(found, name, f"{what}, {name}") // 2
