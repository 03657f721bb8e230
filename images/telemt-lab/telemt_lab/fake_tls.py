"""Fake TLS: a ClientHello that proves a secret, and the server's flight that answers it."""

import hashlib
import hmac
import os

from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from .client_hello import DIGEST, X25519MLKEM768
from .obfuscation import IV_BYTES, KEY_BYTES, keystream
from .records import APPLICATION, record

# How far a client's clock may be off, in seconds.
_SKEW_S = 120
# Some clients send the seconds since they booted instead of the time.
_BOOT_S = 120
_MLKEM_BYTES = 1088
_SUPPORTED_VERSIONS = bytes.fromhex("002b00020304")
_CHANGE_CIPHER_SPEC = bytes.fromhex("140303000101")
_SMALLEST_CERT, _LARGEST_CERT = 64, 16_384 + 256
_TICKETS = 4


def proves(hello: bytes, secret: bytes, now: float | None, replay_window_s: int) -> bool:
    """Say whether a ClientHello record was signed with a secret, within two minutes of now.

    now is unix time, None to accept any clock. The record is long enough to hold a digest.
    """
    digest = hello[DIGEST]
    zeroed = hello[: DIGEST.start] + bytes(32) + hello[DIGEST.stop :]
    signed = hmac.digest(secret, zeroed, "sha256")
    if not hmac.compare_digest(digest[:28], signed[:28]):
        return False
    if now is None:
        return True
    stamp = int.from_bytes(digest[28:], "little") ^ int.from_bytes(signed[28:], "little")
    return stamp < min(_BOOT_S, replay_window_s) or abs(int(now) - stamp) <= _SKEW_S


def server_flight(
    secret: bytes,
    digest: bytes,
    session_id: bytes,
    suite: bytes,
    group: int,
    cert_bytes: int,
    tickets: int,
) -> bytes:
    """Return ServerHello, ChangeCipherSpec and random bytes in place of the encrypted certificate.

    digest is the ClientHello's; cert_bytes the size of the encrypted part.
    """
    share = os.urandom(_MLKEM_BYTES) if group == X25519MLKEM768 else b""
    share += X25519PrivateKey.generate().public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)
    entry = group.to_bytes(2, "big") + len(share).to_bytes(2, "big") + share
    extensions = b"\x00\x33" + len(entry).to_bytes(2, "big") + entry + _SUPPORTED_VERSIONS
    body = b"".join(
        [
            b"\x03\x03" + bytes(32),
            bytes([len(session_id)]) + session_id,
            suite + b"\x00",
            len(extensions).to_bytes(2, "big") + extensions,
        ]
    )
    hello = record(0x16, b"\x02" + len(body).to_bytes(3, "big") + body)
    size = min(max(cert_bytes, _SMALLEST_CERT), _LARGEST_CERT)
    flight = hello + _CHANGE_CIPHER_SPEC + record(APPLICATION, os.urandom(size))
    for _ in range(min(tickets, _TICKETS)):
        flight += record(APPLICATION, os.urandom(48 + os.urandom(1)[0] % 48))
    signed = hmac.digest(secret, digest + flight, hashlib.sha256)
    return flight[: DIGEST.start] + signed + flight[DIGEST.stop :]


def warm_up() -> None:
    """Make the library load at start what it loads at first use.

    The first flight took 21 ms, later ones 0.3 ms, in the loop, while clients waited.
    """
    secret, digest = os.urandom(16), os.urandom(32)
    flight = server_flight(secret, digest, digest, b"\x13\x01", X25519MLKEM768, 0, 0)
    proves(flight, secret, None, 0)
    keystream(os.urandom(KEY_BYTES), os.urandom(IV_BYTES)).update(flight)
