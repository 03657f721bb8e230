"""HAProxy's own words: `show info`, `show stat`, `show sess`, `show pools`. Pure."""

from __future__ import annotations

import csv
import re
from collections.abc import Mapping
from dataclasses import dataclass

from stackctl.observe.limitfile import ParseError
from stackctl.observe.model import Snapshot, Unread, text_of

_INFO = re.compile(r"^([A-Za-z][\w-]*): (.*)$")
_POOL = re.compile(r"^\s*- Pool (\S+) \((\d{1,18}) bytes\)")
_SOURCE = re.compile(r"^0x[0-9a-f]+: .*\bsource=(\S+)")
_SERVER = re.compile(r"^\s+server=(\S+)")
_SIDE = re.compile(r"^\s+(scf|scb)=\S+ .*\bioto=(\S+)")
_PRINTED = re.compile(r"(?:(\d{1,9})d)?(?:(\d{1,9})h)?(?:(\d{1,9})m)?(?:(\d{1,9})s)?")
_UNIT_SECONDS = (86400, 3600, 60, 1)


@dataclass(frozen=True, slots=True)
class Session:
    """A session as `show sess ID` describes it.

    Attributes:
        source: the client's address:port.
        server: name of the server it was given; "" if none.
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
        ParseError: the heading is missing, or a row is no CSV.
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
        ParseError: the session is gone, or a part of it is missing.
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
        ParseError: `<NEVER>`, which is no number of seconds, or another form.
    """
    match = _PRINTED.fullmatch(text)
    if not text or match is None:
        raise ParseError(f"not a time in seconds: {text[:60]!r}")
    return sum(
        int(count or 0) * unit for count, unit in zip(match.groups(), _UNIT_SECONDS, strict=True)
    )


def as_printed(seconds: int) -> int:
    """What is left of a number of seconds when HAProxy prints its two largest units."""
    for unit, smaller in ((86400, 3600), (3600, 60)):
        if seconds >= unit:
            return seconds - seconds % smaller
    return seconds


def servers(snapshot: Snapshot) -> Mapping[str, Mapping[str, str]]:
    """`show stat` row of each replica's server by its name; empty if HAProxy did not answer."""
    try:
        admin = snapshot.target("haproxy")["admin"]
        backend = snapshot.asked("haproxy")["backend"]
        rows = parse_stat(text_of(admin.get("show stat"), "show stat"))
    except (Unread, ParseError, KeyError):
        return {}
    own = {"FRONTEND", "BACKEND"}
    return {
        name: row for (proxy, name), row in rows.items() if proxy == backend and name not in own
    }
