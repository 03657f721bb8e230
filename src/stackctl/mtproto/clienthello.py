"""The ClientHello of fake TLS: a browser's, but its random field proves the secret."""

from __future__ import annotations

import hmac
from collections.abc import Callable
from dataclasses import dataclass, field

from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

HELLO_BYTES = 517
"""The record's length. Browsers pad to 512 bytes plus the header; some proxies take no other
length."""
MAX_DOMAIN = 182
"""Telegram's clients truncate a longer domain of a link."""
DIGEST_AT = 11
DIGEST_BYTES = 32
_SUITES = "1301 1302 1303 c02b c02f c02c c030 cca9 cca8 c013 c014 009c 009d 002f 0035"
_SIGNATURES = "0403 0804 0401 0503 0805 0501 0806 0601"


@dataclass(frozen=True, slots=True)
class ClientHello:
    """A ClientHello, and what its answer is checked with.

    Attributes:
        record: all the bytes to send.
        digest: its bytes 11..42, which the server's own digest covers.
        private: the X25519 key of its key share, 32 bytes; it decrypts the answer of a real TLS
            server.
    """

    record: bytes
    digest: bytes
    private: bytes = field(repr=False)


def client_hello(
    key: bytes, domain: str, unix_time: int, random: Callable[[int], bytes]
) -> ClientHello:
    """A ClientHello that proves the key and the time.

    Args:
        key: the 16 bytes of the secret.
        domain: the site it pretends to talk to, ASCII, MAX_DOMAIN bytes at most.
        unix_time: seconds; servers accept 120 s to either side of their own clock.
        random: a source of random bytes.

    Raises:
        ValueError: the domain is empty or too long.
    """
    if not 0 < len(domain) <= MAX_DOMAIN:
        raise ValueError(f"a domain of {len(domain)} bytes, 1 to {MAX_DOMAIN} expected")
    private = random(32)
    blank = _record(domain.encode("ascii"), private, random)
    digest = stamped(hmac.digest(key, blank, "sha256"), unix_time)
    record = blank[:DIGEST_AT] + digest + blank[DIGEST_AT + DIGEST_BYTES :]
    return ClientHello(record, digest, private)


def stamped(digest: bytes, unix_time: int) -> bytes:
    """A digest with the time folded into its last four bytes."""
    time = (unix_time & 0xFFFFFFFF).to_bytes(4, "little")
    return digest[:28] + bytes(a ^ b for a, b in zip(digest[28:], time, strict=True))


def _record(domain: bytes, private: bytes, random: Callable[[int], bytes]) -> bytes:
    """The record, with zeros in place of the digest."""
    grease = [bytes([16 * (byte % 16) + 10]) * 2 for byte in random(4)]
    if grease[3] == grease[2]:
        # Two extensions of one type are an error to a real server.
        grease[3] = bytes(byte ^ 0x10 for byte in grease[3])
    public = X25519PrivateKey.from_private_bytes(private).public_key().public_bytes_raw()
    share = _sized(grease[1] + b"\x00\x01\x00" + b"\x00\x1d" + _sized(public))
    name = _sized(b"\x00" + _sized(domain))
    extensions = b"".join(
        kind + _sized(body)
        for kind, body in (
            (grease[2], b""),
            (b"\x00\x00", name),
            (b"\x00\x17", b""),  # extended master secret
            (b"\xff\x01", b"\x00"),  # renegotiation
            (b"\x00\x0a", _sized(grease[1] + bytes.fromhex("001d 0017 0018"))),
            (b"\x00\x0b", b"\x01\x00"),  # point formats
            (b"\x00\x23", b""),  # session ticket
            (b"\x00\x10", _sized(b"\x02h2\x08http/1.1")),
            (b"\x00\x05", b"\x01\x00\x00\x00\x00"),  # certificate status
            (b"\x00\x0d", _sized(bytes.fromhex(_SIGNATURES))),
            (b"\x00\x12", b""),  # signed certificate timestamps
            (b"\x00\x33", share),
            (b"\x00\x2d", b"\x01\x01"),  # how a pre-shared key would be used
            (b"\x00\x2b", b"\x06" + grease[0] + bytes.fromhex("0304 0303")),
            (grease[3], b"\x00"),
        )
    )
    head = (
        b"\x03\x03"
        + bytes(DIGEST_BYTES)
        + b"\x20"
        + random(32)  # session id
        + _sized(grease[0] + bytes.fromhex(_SUITES))
        + b"\x01\x00"  # no compression
    )
    # 5 bytes of record header, 4 of message header, 2 of extensions length, 4 of padding header.
    room = HELLO_BYTES - 5 - 4 - len(head) - 2 - len(extensions) - 4
    extensions += b"\x00\x15" + _sized(bytes(room))
    message = head + _sized(extensions)
    return b"\x16\x03\x01" + _sized(b"\x01" + len(message).to_bytes(3, "big") + message)


def _sized(body: bytes) -> bytes:
    return len(body).to_bytes(2, "big") + body
