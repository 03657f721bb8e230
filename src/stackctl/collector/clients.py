"""Connections really made: to the published address, and from HAProxy's own namespace."""

from __future__ import annotations

import os
import socket
from typing import Any, NamedTuple

from stackctl.collector.livesock import shown
from stackctl.collector.reading import Deadline, failure

# Not HTTP, not a TLS record (0x16), not an MTProto tag (0xef, 0xee, 0xdd).
_FIRST = b"\xa5"
# Below the 64 bytes of MTProto's first message: Telemt waits for the rest and keeps the connection
# where a whole wrong message would end it. And below the 16 bytes of the shortest PROXY v2 header:
# where HAProxy sends none, Telemt waits for the rest of what it takes for one, and the connection
# is still there when HAProxy is asked for it. No real client stays at such a number either.
_INSIDE_BYTES = 11
_PUBLISHED_BYTES = range(33, 63)
_BIND_ADDRESS_NO_PORT = 24
_STEP = 3.0


class Client(NamedTuple):
    """One connection of the probe's own, and what is reported of it."""

    sock: socket.socket
    payload: bytes
    record: dict[str, Any]


def payload(size: int) -> bytes:
    """`size` random bytes that no protocol in the stack takes for the beginning of its own."""
    return _FIRST + os.urandom(size - 1)


def published_size() -> int:
    """A length that tells the published connection from every other in HAProxy's counters."""
    return _PUBLISHED_BYTES[os.urandom(1)[0] % len(_PUBLISHED_BYTES)]


def connect(
    via: str, to: tuple[str, int], size: int, deadline: Deadline, source: str = ""
) -> Client:
    """Connect and send the payload; a failure stands in the record under "error"."""
    family = socket.AF_INET6 if ":" in to[0] else socket.AF_INET
    sock = socket.socket(family, socket.SOCK_STREAM)
    record: dict[str, Any] = {"via": via, "remote": f"{to[0]}:{to[1]}", "local": ""}
    data = payload(size)
    client = Client(sock, data, record)
    try:
        sock.settimeout(deadline.left(_STEP))
        if source:
            # The port is chosen at connect(), so a busy port on another address does not matter.
            sock.setsockopt(socket.IPPROTO_IP, _BIND_ADDRESS_NO_PORT, 1)
            sock.bind((source, 0))
        sock.connect(to)
        record["local"] = shown(sock.getsockname())
        sock.sendall(data)
        record["sent"] = size
    except OSError as problem:
        record.update(failure(problem))
    return client


def sources(count: int) -> list[str]:
    """Loopback addresses in a random order, spread so that `balance source` spreads them too."""
    raw = os.urandom(3 * count)
    # Neither 127.0.0.x, which others use, nor an address ending in 0 or 255.
    return [
        f"127.{1 + raw[at] % 254}.{raw[at + 1]}.{1 + raw[at + 2] % 254}"
        for at in range(0, 3 * count, 3)
    ]


def sources_for(to: tuple[str, int], count: int) -> list[str]:
    """`count` addresses to connect from, where the destination is on loopback; else any."""
    return sources(count) if to[0].startswith("127.") else [""] * count


def inside(to: tuple[str, int], count: int, deadline: Deadline) -> list[Client]:
    """`count` connections from addresses of their own, where the destination is on loopback."""
    own = sources_for(to, count)
    return [connect("inside", to, _INSIDE_BYTES, deadline, source) for source in own]


def published(to: tuple[str, int], deadline: Deadline) -> Client:
    """The connection a client on this host would make."""
    # On loopback from an address of its own: as 127.0.0.1 come HAProxy and every unix peer too.
    (source,) = sources_for(to, 1)
    return connect("published", to, published_size(), deadline, source)


def close(clients: list[Client]) -> None:
    """End the connections in order, with FIN."""
    for client in clients:
        client.sock.close()
