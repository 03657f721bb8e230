"""What the kernel and HAProxy count: from text and rows to numbers by name. Pure.

A reading maps a name with its file before it (`netstat.ListenDrops`) to a number.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from stackctl.collector.answer import Counters, Reading, Unread

HAPROXY_COUNTERS = ("econ", "eresp", "wretr", "wredis")

_SUMMED_BUT = "entries"


class CounterError(ValueError):
    """The text does not have the form of this file."""


def parse_netstat(text: str) -> dict[str, int]:
    """/proc/net/netstat: two lines for each group, names and numbers; `netstat.NAME`.

    Raises:
        CounterError: names and numbers do not match, or TcpExt is missing.
    """
    found: dict[str, int] = {}
    lines = text.splitlines()
    for names, numbers in zip(lines[::2], lines[1::2], strict=False):
        group, *keys = names.split()
        other, *values = numbers.split()
        if group != other or len(keys) != len(values):
            raise CounterError(f"names and numbers of {group} do not match")
        if group == "TcpExt:":
            found |= {f"netstat.{key}": _number(v) for key, v in zip(keys, values, strict=True)}
    if not found:
        raise CounterError("no TcpExt in netstat")
    return found


def parse_sockstat(text: str) -> dict[str, int]:
    """/proc/net/sockstat: `sockstat.TCP.inuse` and so on; mem is in pages.

    Raises:
        CounterError: there is no TCP line.
    """
    found: dict[str, int] = {}
    for line in text.splitlines():
        group, _, rest = line.partition(":")
        words = rest.split()
        for key, value in zip(words[::2], words[1::2], strict=False):
            found[f"sockstat.{group}.{key}"] = _number(value)
    if "sockstat.TCP.inuse" not in found:
        raise CounterError("no TCP in sockstat")
    return found


def parse_file_nr(text: str) -> dict[str, int]:
    """/proc/sys/fs/file-nr: `file-nr.used` and `file-nr.max`.

    Raises:
        CounterError: not three numbers.
    """
    words = text.split()
    if len(words) != 3:
        raise CounterError(f"file-nr has {len(words)} numbers instead of 3")
    allocated, free, most = map(_number, words)
    return {"file-nr.used": allocated - free, "file-nr.max": most}


def parse_conntrack(text: str) -> dict[str, int]:
    """/proc/net/stat/nf_conntrack: hexadecimal, a line for each cpu; `conntrack.NAME`, summed.

    `conntrack.entries` is the table's fill in this namespace, the same on every line.

    Raises:
        CounterError: a line has more or fewer numbers than there are names.
    """
    heading, *lines = text.splitlines() or [""]
    names = heading.split()
    if "entries" not in names or not lines:
        raise CounterError("no entries in the statistics of conntrack")
    found: dict[str, int] = {}
    for line in lines:
        words = line.split()
        if len(words) != len(names):
            raise CounterError(f"{len(words)} numbers of conntrack for {len(names)} names")
        for name, word in zip(names, words, strict=True):
            key = f"conntrack.{name}"
            before = 0 if name == _SUMMED_BUT else found.get(key, 0)
            found[key] = before + _number(word, 16)
    return found


def parse_kilobytes(text: str, name: str) -> int:
    """A line `NAME:  12 kB` of /proc/meminfo or /proc/PID/status, in bytes.

    Raises:
        CounterError: there is none.
    """
    for line in text.splitlines():
        key, _, rest = line.partition(":")
        words = rest.split()
        if key == name and len(words) == 2 and words[1] == "kB":
            return _number(words[0]) * 1024
    raise CounterError(f"no line {name}")


def haproxy_counters(servers: Mapping[str, Mapping[str, str]]) -> dict[str, int]:
    """HAProxy's counters of its servers, summed over the rows of `show stat`."""
    found: dict[str, int] = {}
    for row in servers.values():
        for name in HAPROXY_COUNTERS:
            if row.get(name, "").isdigit():
                key = f"haproxy.{name}"
                found[key] = found.get(key, 0) + int(row[name])
    return found


def changes(before: Mapping[str, int], after: Mapping[str, int]) -> dict[str, int]:
    """By how much each number has grown; a name that is missing on one side is left out."""
    return {
        name: after[name] - number
        for name, number in before.items()
        if name in after and after[name] > number
    }


def _number(word: str, base: int = 10) -> int:
    try:
        return int(word, base)
    except ValueError as error:
        raise CounterError(f"{word[:20]!r} is no number") from error


def kernel_readings(counters: Counters, where: str, unread: list[str]) -> dict[str, int]:
    """Every counter of a network namespace; what cannot be read is named, never taken for zero.

    Args:
        counters: texts of its files.
        where: the namespace's name, for the clauses in `unread`.
        unread: gets one clause for each file that could not be read.
    """
    return {
        **number_of(counters.netstat, parse_netstat, f"{where}: net/netstat", unread),
        **number_of(counters.sockstat, parse_sockstat, f"{where}: net/sockstat", unread),
        **number_of(counters.conntrack, parse_conntrack, f"{where}: net/stat/nf_conntrack", unread),
    }


def number_of(
    reading: Reading[str], parse: Callable[[str], dict[str, int]], what: str, unread: list[str]
) -> dict[str, int]:
    """The numbers of one file; empty, and a clause in `unread`, where it could not be read."""
    try:
        return parse(reading.get(what))
    except Unread as problem:
        unread.append(str(problem))
    except CounterError as problem:
        unread.append(f"{what}: {problem}")
    return {}
