"""A host and a port: parsed, shown, and unmapped from IPv4 in IPv6."""

import ipaddress
import re

Address = tuple[str, int]
HIGHEST_PORT = 2**16 - 1

_SOCKET_ADDRESS = re.compile(r"(?:\[(?P<six>[0-9a-fA-F:.]+)\]|(?P<four>[0-9.]+)):(?P<port>\d{1,5})")


def socket_address(text: str) -> Address | None:
    """Return (host, port) of `IP:PORT` or `[IP]:PORT`, or None where the text is neither."""
    match = _SOCKET_ADDRESS.fullmatch(text)
    if match is None or int(match["port"]) > HIGHEST_PORT:
        return None
    try:
        host = ipaddress.IPv4Address(match["four"]) if match["four"] else None
        return str(host or ipaddress.IPv6Address(match["six"])), int(match["port"])
    except ValueError:
        return None


def show(address: Address) -> str:
    """Return `1.2.3.4:80` or `[2001:db8::1]:80`."""
    host, port = address
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def plain(address: Address) -> Address:
    """Return an IPv4 address that is mapped into IPv6 as IPv4; any other unchanged."""
    host, port = address
    if not host.startswith("::ffff:"):
        return address
    mapped = ipaddress.IPv6Address(host).ipv4_mapped
    return (str(mapped), port) if mapped else address
