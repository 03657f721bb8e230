"""Listening sockets of the calling thread's network namespace, by sock_diag."""

from __future__ import annotations

import os
import socket
import struct
from typing import Any

from stackctl.collector.netlink import SOCK_DIAG, attributes, dump

_BY_FAMILY = 20
_LISTEN = 1 << 10
_TCP_REQUEST = struct.Struct("=BBBxI48s")
_TCP_MESSAGE = struct.Struct("=4BHH16s16sI8sIIIII")
_UNIX_REQUEST = struct.Struct("=BBHIII8s")
_UNIX_MESSAGE = struct.Struct("=4BI8s")
_SHOW_NAME_AND_QUEUE = 0x11
_NAME, _QUEUE = 0, 4
_ADDRESS_LENGTH = {socket.AF_INET: 4, socket.AF_INET6: 16}


def tcp(family: int) -> list[dict[str, Any]]:
    """TCP listeners: address, port, backlog (idiag_wqueue), queue (idiag_rqueue), inode."""
    body = _TCP_REQUEST.pack(family, socket.IPPROTO_TCP, 0, _LISTEN, b"")
    return [_tcp(answer) for answer in dump(SOCK_DIAG, _BY_FAMILY, body)]


def _tcp(answer: bytes) -> dict[str, Any]:
    fields = _TCP_MESSAGE.unpack_from(answer)
    family, port, source = fields[0], fields[4], fields[6]
    queue, backlog, uid, inode = fields[11:15]  # fields[10] is a timer
    return {
        "address": socket.inet_ntop(family, source[: _ADDRESS_LENGTH[family]]),
        "port": socket.ntohs(port),
        "backlog": backlog,
        "queue": queue,
        "uid": uid,
        "inode": inode,
    }


def unix() -> list[dict[str, Any]]:
    """Unix listeners: path as bound (`@name` where abstract), backlog, queue, inode."""
    body = _UNIX_REQUEST.pack(socket.AF_UNIX, 0, 0, _LISTEN, 0, _SHOW_NAME_AND_QUEUE, b"\xff" * 8)
    return [_unix(answer) for answer in dump(SOCK_DIAG, _BY_FAMILY, body)]


def _unix(answer: bytes) -> dict[str, Any]:
    inode = _UNIX_MESSAGE.unpack_from(answer)[4]
    row: dict[str, Any] = {"path": "", "backlog": None, "queue": None, "inode": inode}
    for kind, payload in attributes(answer[_UNIX_MESSAGE.size :]):
        if kind == _NAME:
            abstract = payload.startswith(b"\0")
            name = payload[1:] if abstract else payload.rstrip(b"\0")
            row["path"] = ("@" if abstract else "") + name.decode(errors="replace")
        elif kind == _QUEUE:
            row["queue"], row["backlog"] = struct.unpack_from("=II", payload)
    return row


def backlog_of(sock: socket.socket) -> int:
    """The backlog the kernel gave this listening socket.

    Raises:
        LookupError: the socket is not among the namespace's listeners.
    """
    inode = os.fstat(sock.fileno()).st_ino
    for row in tcp(sock.family):
        if row["inode"] == inode:
            return int(row["backlog"])
    raise LookupError("the listener made a moment ago is not in the dump")
