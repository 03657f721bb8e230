"""Netlink dumps by hand: a request out, message bodies and their attributes back."""

from __future__ import annotations

import os
import socket
import struct
from collections.abc import Iterator

_HEADER = struct.Struct("=IHHII")
_ATTRIBUTE = struct.Struct("=HH")
_REQUEST_DUMP = 0x301  # NLM_F_REQUEST | NLM_F_ROOT | NLM_F_MATCH
_INTERRUPTED = 0x10  # NLM_F_DUMP_INTR: the table changed under the dump
_ERROR, _DONE = 2, 3
_TYPE_MASK = 0x3FFF  # the two upper bits are flags
_TRIES = 4
_TIMEOUT = 2.0

ROUTE, SOCK_DIAG = 0, 4


def dump(protocol: int, kind: int, body: bytes) -> list[bytes]:
    """The bodies of all answers to one dump, in the calling thread's network namespace.

    A dump that the kernel marks as torn by a change is asked for again.

    Raises:
        OSError: the kernel refused, or the answer was torn each time.
    """
    for _ in range(_TRIES):
        with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, protocol) as sock:
            sock.settimeout(_TIMEOUT)
            sock.bind((0, 0))
            sock.send(_HEADER.pack(_HEADER.size + len(body), kind, _REQUEST_DUMP, 1, 0) + body)
            bodies, torn = _answers(sock)
        if not torn:
            return bodies
    raise OSError(4, os.strerror(4))


def _answers(sock: socket.socket) -> tuple[list[bytes], bool]:
    bodies: list[bytes] = []
    torn = False
    while True:
        data = sock.recv(1 << 18)
        at = 0
        while at + _HEADER.size <= len(data):
            length, kind, flags, _, _ = _HEADER.unpack_from(data, at)
            body = data[at + _HEADER.size : at + length]
            torn = torn or bool(flags & _INTERRUPTED)
            if kind == _DONE:
                return bodies, torn
            if kind == _ERROR:
                number = -struct.unpack_from("=i", body)[0]
                raise OSError(number, os.strerror(number))
            bodies.append(body)
            at += max(_HEADER.size, (length + 3) & ~3)


def attributes(data: bytes) -> Iterator[tuple[int, bytes]]:
    """(type, payload) of each attribute behind a message's fixed part."""
    at = 0
    while at + _ATTRIBUTE.size <= len(data):
        length, kind = _ATTRIBUTE.unpack_from(data, at)
        if length < _ATTRIBUTE.size:
            return
        yield kind & _TYPE_MASK, data[at + _ATTRIBUTE.size : at + length]
        at += (length + 3) & ~3
