"""Configuration files of the live processes: haproxy.cfg and telemt.toml. Pure."""

from __future__ import annotations

import re
import shlex
import tomllib
from collections.abc import Iterator

from stackctl.limits import Kind, Value
from stackctl.observe.observed import ParseError

# fmt: off
_SECTIONS = frozenset({
    "global", "defaults", "frontend", "backend", "listen", "peers",
    "resolvers", "mailers", "userlist", "program", "ring", "cache",
    "http-errors", "log-forward", "fcgi-app", "crt-store", "log-profile", "traces",
})
# fmt: on
_TIME = re.compile(r"(\d{1,12})(us|ms|s|m|h|d)?")
_MICROSECONDS = {
    "us": 1,
    "ms": 10**3,
    "s": 10**6,
    "m": 6 * 10**7,
    "h": 36 * 10**8,
    "d": 864 * 10**8,
}
_SIZE = re.compile(r"(\d{1,12})([kmg])?", re.IGNORECASE)
_SIZES = {"": 1, "k": 2**10, "m": 2**20, "g": 2**30}
_SPREAD = re.compile(r"rand\((\d{1,5})\),add\((\d{1,5})\)")
_SERVER_WORDS = frozenset({"inter", "maxconn", "fall", "rise", "fastinter", "downinter"})
"""Directives of this stack that stand in `default-server` and `server` lines."""


def haproxy_directive(text: str, name: str, frontend: str, backend: str) -> str:
    """The word after a directive, as it applies to clients of `frontend` and servers of `backend`.

    The last line counts; the frontend's and the backend's own lines override global and defaults.
    If a `server` line differs from `default-server`, its value is returned: it is not as planned.

    Args:
        text: haproxy.cfg.
        name: such as "timeout client", "tune.bufsize", "inter".
        frontend: name of the clients' frontend.
        backend: name of the replicas' backend.

    Raises:
        ParseError: the directive is missing, or a line cannot be parsed.
    """
    wanted = name.split()
    if not wanted:
        raise ParseError("no directive was named")
    general: str | None = None
    own: str | None = None
    single: list[str] = []
    applies = {("frontend", frontend), ("backend", backend), ("listen", frontend)}
    for section, words in _lines(text):
        value = _after(words, wanted)
        if value is None:
            continue
        if section[0] in ("global", "defaults"):
            general = value
        elif section in applies and words[0] == "server":
            single.append(value)
        elif section in applies:
            own = value
    found = own if own is not None else general
    departing = [value for value in single if value != found]
    if departing:
        return departing[0]
    if found is None:
        raise ParseError(f"no `{name}` in the file")
    return found


def spread_ports(text: str, backend: str, first: int) -> int:
    """Over how many ports of each server a backend spreads its connections.

    It is 1 where every server line has its own port; else the range of the random port that
    `set-dst-port` chooses and all servers use.

    Args:
        text: haproxy.cfg.
        backend: name of the replicas' backend.
        first: the first port of a replica.

    Raises:
        ParseError: only some servers use the chosen port, or it is not such a random port.
    """
    ranges: list[str] = []
    mapped: set[bool] = set()
    for section, words in _lines(text):
        if section == ("backend", backend):
            if words[:3] == ["tcp-request", "content", "set-dst-port"]:
                ranges.append(" ".join(words[3:]))
            elif words[0] == "server" and len(words) > 2:
                mapped.add(words[2].endswith(":+0"))
    if mapped == {False}:
        return 1
    match = _SPREAD.fullmatch(ranges[0]) if mapped == {True} and len(ranges) == 1 else None
    if match is None or int(match[2]) != first:
        raise ParseError(
            f"unexpected ports of the servers of {backend}: {'; '.join(ranges) or 'none'}"
        )
    return int(match[1])


def _lines(text: str) -> Iterator[tuple[tuple[str, str], list[str]]]:
    section = ("", "")
    for number, line in enumerate(text.splitlines(), 1):
        try:
            words = shlex.split(line, comments=True)
        except ValueError as error:
            raise ParseError(f"line {number}: {error}") from error
        if not words:
            continue
        if words[0] in _SECTIONS:
            section = (words[0], words[1] if len(words) > 1 else "")
        else:
            yield section, words


def _after(words: list[str], wanted: list[str]) -> str | None:
    if len(wanted) == 1 and wanted[0] in _SERVER_WORDS:
        first = {"default-server": 1, "server": 3}.get(words[0])
        # Option pairs may stand anywhere on the line; the last one counts.
        places = range(len(words) - 2, (first or 0) - 1, -1) if first else ()
        return next((words[at + 1] for at in places if words[at] == wanted[0]), None)
    size = len(wanted)
    return words[size] if words[:size] == wanted and len(words) > size else None


def haproxy_value(kind: Kind, word: str) -> Value:
    """A word of haproxy.cfg in the unit of a kind; a bare number in a time is milliseconds.

    Raises:
        ParseError: it is not of this kind, or not a whole number of its unit.
    """
    if kind in (Kind.SECONDS, Kind.MILLISECONDS):
        return _time(word, 10**6 if kind is Kind.SECONDS else 10**3, str(kind))
    if kind is Kind.WORD:
        return word
    match = _SIZE.fullmatch(word)
    if not match:
        raise ParseError(f"not a number: {word[:60]!r}")
    return int(match[1]) * _SIZES[(match[2] or "").lower()]


def _time(word: str, unit: int, name: str) -> int:
    match = _TIME.fullmatch(word)
    if not match:
        raise ParseError(f"not a time: {word[:60]!r}")
    whole, rest = divmod(int(match[1]) * _MICROSECONDS[match[2] or "ms"], unit)
    if rest:
        raise ParseError(f"not a whole number of {name}: {word}")
    return whole


def toml_value(text: str, dotted: str) -> Value:
    """The value of a dotted key, such as `server.max_connections`; a flag is 0 or 1.

    Raises:
        ParseError: the text is not TOML, the key is missing, or its value is not a number, a word
            or a flag.
    """
    try:
        node: object = tomllib.loads(text)
    except (tomllib.TOMLDecodeError, RecursionError) as error:
        raise ParseError(f"not TOML: {error}") from error
    for part in dotted.split("."):
        if not isinstance(node, dict) or part not in node:
            raise ParseError(f"no `{dotted}` in the file")
        node = node[part]
    if isinstance(node, int | str):
        return int(node) if isinstance(node, bool) else node
    raise ParseError(f"`{dotted}` is not a number, a word or a flag")
