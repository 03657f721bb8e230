"""The PROXY protocol header that HAProxy puts before a client's bytes, version 2."""

from __future__ import annotations

import ipaddress
import struct

_SIGNATURE = b"\r\n\r\n\0\r\nQUIT\n"
_PROXY = 0x21  # version 2, on behalf of another
_STREAM = {4: 0x11, 6: 0x21}


def version_2(client: tuple[str, int], server: tuple[str, int]) -> bytes:
    """The header for a TCP connection from `client` to `server`.

    Raises:
        ValueError: one of the addresses is none, or they are of different families.
    """
    source, target = ipaddress.ip_address(client[0]), ipaddress.ip_address(server[0])
    if source.version != target.version:
        raise ValueError(f"{source} and {target} are of different families")
    body = source.packed + target.packed + struct.pack("!HH", client[1], server[1])
    return _SIGNATURE + struct.pack("!BBH", _PROXY, _STREAM[source.version], len(body)) + body
