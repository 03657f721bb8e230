"""Netlink dumps without a library: requests, message bodies, attributes; listening sockets."""

from __future__ import annotations

import os
import socket
import struct
from collections.abc import Iterator

from stackctl.collector.answer import Listener

_HEADER = struct.Struct("=IHHII")
_ATTRIBUTE = struct.Struct("=HH")
_REQUEST_DUMP = 0x301  # NLM_F_REQUEST | NLM_F_ROOT | NLM_F_MATCH
_INTERRUPTED = 0x10  # NLM_F_DUMP_INTR: the table changed under the dump
_ERROR, _DONE = 2, 3
_TYPE_MASK = 0x3FFF  # the two upper bits are flags
_TRIES = 4
_TIMEOUT = 2.0

ROUTE, SOCK_DIAG = 0, 4

_BY_FAMILY = 20
_LISTEN = 1 << 10
_TCP_REQUEST = struct.Struct("=BBBxI48s")
_TCP_MESSAGE = struct.Struct("=4BHH16s16sI8sIIIII")
_UNIX_REQUEST = struct.Struct("=BBHIII8s")
_UNIX_MESSAGE = struct.Struct("=4BI8s")
_SHOW_NAME_AND_QUEUE = 0x11
_NAME, _QUEUE = 0, 4
_ADDRESS_LENGTH = {socket.AF_INET: 4, socket.AF_INET6: 16}


def dump(protocol: int, kind: int, body: bytes) -> list[bytes]:
    """The bodies of all answers to one dump, in the calling thread's network namespace.

    A dump that the kernel marks as interrupted by a change is asked for again.

    Raises:
        OSError: the kernel refused, or every dump was interrupted.
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
    """(type, payload) of each attribute after a message's fixed part."""
    at = 0
    while at + _ATTRIBUTE.size <= len(data):
        length, kind = _ATTRIBUTE.unpack_from(data, at)
        if length < _ATTRIBUTE.size:
            return
        yield kind & _TYPE_MASK, data[at + _ATTRIBUTE.size : at + length]
        at += (length + 3) & ~3


def tcp(family: int) -> list[Listener]:
    """TCP listeners of the calling thread's network namespace, by sock_diag."""
    body = _TCP_REQUEST.pack(family, socket.IPPROTO_TCP, 0, _LISTEN, b"")
    return [_tcp(answer) for answer in dump(SOCK_DIAG, _BY_FAMILY, body)]


def _tcp(answer: bytes) -> Listener:
    fields = _TCP_MESSAGE.unpack_from(answer)
    family, port, source = fields[0], fields[4], fields[6]
    queue, backlog, _, inode = fields[11:15]  # idiag_rqueue, _wqueue, _uid; fields[10] is a timer
    return Listener(
        inode=inode,
        backlog=backlog,
        queue=queue,
        address=socket.inet_ntop(family, source[: _ADDRESS_LENGTH[family]]),
        port=socket.ntohs(port),
    )


def unix() -> list[Listener]:
    """Unix listeners of the calling thread's network namespace; abstract ones as `@name`."""
    body = _UNIX_REQUEST.pack(socket.AF_UNIX, 0, 0, _LISTEN, 0, _SHOW_NAME_AND_QUEUE, b"\xff" * 8)
    return [_unix(answer) for answer in dump(SOCK_DIAG, _BY_FAMILY, body)]


def _unix(answer: bytes) -> Listener:
    inode = _UNIX_MESSAGE.unpack_from(answer)[4]
    path, queue, backlog = "", None, None
    for kind, payload in attributes(answer[_UNIX_MESSAGE.size :]):
        if kind == _NAME:
            abstract = payload.startswith(b"\0")
            name = payload[1:] if abstract else payload.rstrip(b"\0")
            path = ("@" if abstract else "") + name.decode(errors="replace")
        elif kind == _QUEUE:
            queue, backlog = struct.unpack_from("=II", payload)
    return Listener(inode=inode, backlog=backlog, queue=queue, path=path)


def backlog_of(sock: socket.socket) -> int:
    """The backlog that the kernel gave this listening socket.

    Raises:
        LookupError: the socket is not among the namespace's listeners.
    """
    inode = os.fstat(sock.fileno()).st_ino
    for listener in tcp(sock.family):
        if listener.inode == inode and listener.backlog is not None:
            return listener.backlog
    raise LookupError("the fresh listener is not in the dump")
