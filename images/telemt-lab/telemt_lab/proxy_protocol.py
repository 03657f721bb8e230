"""PROXY protocol v1 and v2, parsed from the part of a header that has arrived.

Pure: bytes in, a header or "not yet" or an error out. The bounds are Telemt's: 257 bytes for a v1
line, 216 bytes for the address part of v2, and a signature is judged once 16 bytes are there.
"""

import ipaddress
import struct
from dataclasses import dataclass

from .address import HIGHEST_PORT, Address

V1_SIGNATURE = b"PROXY "
V2_SIGNATURE = b"\r\n\r\n\x00\r\nQUIT\n"

_V1_LONGEST = 257
_V2_FIXED = 16
_V2_LONGEST_PAYLOAD = 216

# The most bytes a caller ever has to keep while parse() says "not yet".
LONGEST_HEADER = max(_V1_LONGEST, _V2_FIXED + _V2_LONGEST_PAYLOAD)


class InvalidHeaderError(Exception):
    """The bytes cannot be, or become, a PROXY header Telemt accepts."""


@dataclass(frozen=True, slots=True)
class Header:
    """A complete header.

    source is None where the sender gives none (v1 UNKNOWN, v2 LOCAL or unspecified family): the
    connection's own peer then stays the client. length is in bytes, the header's own.
    """

    version: int
    source: Address | None
    length: int


def parse(received: bytes | bytearray) -> Header | None:
    """Return the header the bytes begin with, or None while it is still incomplete.

    Raises InvalidHeaderError as soon as no further byte could make it valid.
    """
    if received.startswith(V1_SIGNATURE):
        return _parse_v1(received)
    if len(received) < _V2_FIXED:
        return None
    if received.startswith(V2_SIGNATURE):
        return _parse_v2(received)
    raise InvalidHeaderError("neither a v1 nor a v2 signature")


def _parse_v1(received: bytes | bytearray) -> Header | None:
    end = received.find(b"\r\n", 0, _V1_LONGEST)
    if end < 0:
        if len(received) >= _V1_LONGEST:
            raise InvalidHeaderError("v1 line too long")
        return None
    try:
        words = received[len(V1_SIGNATURE) : end].decode("utf-8").split()
    except UnicodeDecodeError:
        raise InvalidHeaderError("v1 line is not text") from None
    length = end + 2
    if words[:1] == ["UNKNOWN"]:
        return Header(1, None, length)
    if words[:1] not in (["TCP4"], ["TCP6"]) or len(words) < 5:
        raise InvalidHeaderError("v1 line is not TCP4, TCP6 or UNKNOWN with its addresses")
    _v1_address(words[2], words[4])
    return Header(1, _v1_address(words[1], words[3]), length)


def _v1_address(host: str, port: str) -> Address:
    if not (port.isascii() and port.isdigit() and int(port) <= HIGHEST_PORT) or "%" in host:
        raise InvalidHeaderError("v1 address is malformed")
    try:
        return str(ipaddress.ip_address(host)), int(port)
    except ValueError:
        raise InvalidHeaderError("v1 address is malformed") from None


def _parse_v2(received: bytes | bytearray) -> Header | None:
    version_and_command, family_and_protocol, size = struct.unpack_from("!BBH", received, 12)
    if version_and_command >> 4 != 2:
        raise InvalidHeaderError("v2 signature with another version")
    if size > _V2_LONGEST_PAYLOAD:
        raise InvalidHeaderError("v2 address part too long")
    length = _V2_FIXED + size
    if len(received) < length:
        return None
    command, family = version_and_command & 0x0F, family_and_protocol >> 4
    if command > 1:
        raise InvalidHeaderError("v2 command is neither LOCAL nor PROXY")
    if command == 0 or family == 0:
        return Header(2, None, length)
    # TLVs after the addresses are ignored.
    if family == 1 and size >= 12:
        host, port = struct.unpack_from("!4s4xH", received, _V2_FIXED)
        return Header(2, (str(ipaddress.IPv4Address(host)), port), length)
    if family == 2 and size >= 36:
        host, port = struct.unpack_from("!16s16xH", received, _V2_FIXED)
        return Header(2, (str(ipaddress.IPv6Address(host)), port), length)
    raise InvalidHeaderError("v2 address family unsupported, or its addresses are cut short")
