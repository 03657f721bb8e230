"""Whether connections of the calling thread's network namespace are tracked: tried, not deduced.

The kernel tracks a namespace's connections only where a rule there asks for it, and no file says
whether one does. A socket can: SO_ORIGINAL_DST looks its own connection up in the table.
"""

from __future__ import annotations

import socket
from typing import Any

from stackctl.collector.reading import Reading, text, value

_ORIGINAL_DST = 80
_SIZE = 28
_TIMEOUT = 1.0
_COUNT = "/proc/sys/net/netfilter/nf_conntrack_count"
_LOOPBACK = {
    "ipv4": (socket.AF_INET, "127.0.0.1", socket.SOL_IP),
    "ipv6": (socket.AF_INET6, "::1", getattr(socket, "IPPROTO_IPV6", 41)),
}


def readings() -> dict[str, Reading]:
    """By family: 1 where a connection made a moment ago is in the table, 0 where it is not.

    ENOPROTOOPT is a kernel that has no table at all now, EADDRNOTAVAIL or EAFNOSUPPORT one without
    that family. "count" is how many connections of this namespace are in the table.
    """
    found: dict[str, Reading] = {name: _reading(*row) for name, row in _LOOPBACK.items()}
    return {**found, "count": text(_COUNT)}


def _reading(family: int, address: str, level: int) -> Reading:
    return value(lambda: tracked(family, address, level))


def tracked(family: int, address: str, level: int) -> int:
    """Make a connection to a listener of this process and look it up by its own addresses.

    Nobody else's traffic can stand in for it, and it needs no capability.

    Raises:
        OSError: the connection could not be made, or the kernel has no table.
    """
    with socket.socket(family) as listener:
        listener.bind((address, 0))
        listener.listen(1)
        with socket.socket(family) as client:
            client.settimeout(_TIMEOUT)
            client.connect(_end(listener))
            try:
                client.getsockopt(level, _ORIGINAL_DST, _SIZE)
            except FileNotFoundError:
                return 0
            return 1


def _end(listener: socket.socket) -> tuple[Any, ...]:
    end: tuple[Any, ...] = listener.getsockname()
    return end
