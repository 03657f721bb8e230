"""What Telemt reads in a TLS ClientHello: the name asked for, suites, key shares.

Pure, for one whole record. What cannot be read is absent. Only HelloError is raised, and only
inside this module.
"""

import ipaddress
import re
from collections.abc import Iterator
from dataclasses import dataclass

RECORD_HEADER = 5
DIGEST = slice(11, 43)
X25519, X25519MLKEM768 = 0x001D, 0x11EC

_SESSION_ID = 43
_LONGEST_SESSION_ID = 32
_SERVER_NAME, _ALPN, _KEY_SHARE = 0x0000, 0x0010, 0x0033
_SHARE_BYTES = {X25519MLKEM768: 1216, X25519: 32}
# In the order Telemt prefers them.
_SUITES = (b"\x13\x01", b"\x13\x03", b"\x13\x02")
_LABEL = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?")


class HelloError(Exception):
    """A length in the record points outside of it."""


@dataclass(frozen=True, slots=True)
class ClientHello:
    """session_id is None where the record is too short to hold one; name is in lower case; suite
    and group are those that Telemt would answer with, None where there is none in common."""

    session_id: bytes | None
    name: str | None
    alpn: tuple[bytes, ...]
    suite: bytes | None
    group: int | None


class _Cursor:
    """Reads forward; every read checks its bounds."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._at = 0

    @property
    def left(self) -> int:
        return len(self._data) - self._at

    def take(self, count: int) -> bytes:
        if count > self.left:
            raise HelloError
        self._at += count
        return self._data[self._at - count : self._at]

    def number(self, size: int) -> int:
        return int.from_bytes(self.take(size), "big")

    def vector(self, size: int) -> bytes:
        """Bytes with their length in `size` bytes before them."""
        return self.take(self.number(size))


def read_hello(record: bytes) -> ClientHello:
    """Return the content of a handshake record with its header."""
    suites: bytes = b""
    extensions: list[tuple[int, bytes]] = []
    try:
        cursor = _Cursor(record[RECORD_HEADER:])
        if cursor.number(1) == 1:
            cursor = _Cursor(cursor.vector(3))
            cursor.take(2 + 32)
            cursor.vector(1)
            suites = cursor.vector(2)
            cursor.vector(1)
            extensions = list(_extensions(cursor.vector(2))) if cursor.left else []
    except HelloError:
        extensions = []
    return ClientHello(
        _session_id(record),
        _name(extensions),
        _alpn(extensions),
        _suite(suites),
        _group(extensions),
    )


def _session_id(record: bytes) -> bytes | None:
    if len(record) <= _SESSION_ID or record[_SESSION_ID] > _LONGEST_SESSION_ID:
        return None
    found = record[_SESSION_ID + 1 : _SESSION_ID + 1 + record[_SESSION_ID]]
    return found if len(found) == record[_SESSION_ID] else None


def _extensions(data: bytes) -> Iterator[tuple[int, bytes]]:
    cursor = _Cursor(data)
    while cursor.left >= 4:
        yield cursor.number(2), cursor.vector(2)


def _only(extensions: list[tuple[int, bytes]], kind: int) -> bytes:
    return next((data for found, data in extensions if found == kind), b"")


def _name(extensions: list[tuple[int, bytes]]) -> str | None:
    if sum(kind == _SERVER_NAME for kind, _ in extensions) != 1:
        return None
    try:
        names = _Cursor(_Cursor(_only(extensions, _SERVER_NAME)).vector(2))
        while names.left >= 3:
            kind, name = names.number(1), names.vector(2)
            if kind == 0 and (host := _host(name)):
                return host
    except HelloError:
        pass
    return None


def _host(name: bytes) -> str | None:
    host = name.decode("ascii", "replace")
    if len(host) > 253 or not all(_LABEL.fullmatch(label) for label in host.split(".")):
        return None
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return host.lower()
    return None


def _alpn(extensions: list[tuple[int, bytes]]) -> tuple[bytes, ...]:
    found: list[bytes] = []
    try:
        names = _Cursor(_Cursor(_only(extensions, _ALPN)).vector(2))
        while names.left:
            found.append(names.vector(1))
    except HelloError:
        pass
    return tuple(found)


def _suite(suites: bytes) -> bytes | None:
    if len(suites) % 2:
        return None
    offered = {suites[at : at + 2] for at in range(0, len(suites), 2)}
    return next((suite for suite in _SUITES if suite in offered), None)


def _group(extensions: list[tuple[int, bytes]]) -> int | None:
    shares: list[tuple[int, int]] = []
    data = _only(extensions, _KEY_SHARE)
    try:
        cursor = _Cursor(data)
        if cursor.number(2) != cursor.left:
            return None
        while cursor.left:
            shares.append((cursor.number(2), len(cursor.vector(2))))
    except HelloError:
        return None
    for group, size in _SHARE_BYTES.items():
        if [length for found, length in shares if found == group] == [size]:
            return group
    return None
