"""The obfuscated transport: AES-256-CTR, and the first 64 bytes, parsed and made."""

import hashlib
import os
from dataclasses import dataclass

from cryptography.hazmat.primitives.ciphers import Cipher, CipherContext
from cryptography.hazmat.primitives.ciphers.algorithms import AES
from cryptography.hazmat.primitives.ciphers.modes import CTR

KEY_BYTES = 32
IV_BYTES = 16
INIT_BYTES = 64
ABRIDGED, INTERMEDIATE, SECURE = b"\xef" * 4, b"\xee" * 4, b"\xdd" * 4

_KEYS = slice(8, 8 + KEY_BYTES + IV_BYTES)
_TAG = slice(56, 60)
_DC = slice(60, 62)
# Beginnings that a data centre would take for another transport.
_RESERVED_STARTS = (b"\xef", b"HEAD", b"POST", b"GET ", INTERMEDIATE, SECURE, b"\x16\x03\x01\x02")
_RESERVED_CONTINUES = bytes(4)


@dataclass(frozen=True, slots=True)
class Init:
    """A client's first message, parsed.

    from_client continues after the 64 bytes; to_client_key is the 48 bytes of key and IV for what
    goes back. The data centre's number is signed, as the client sent it.
    """

    tag: bytes
    dc: int
    from_client: CipherContext
    to_client_key: bytes


@dataclass(frozen=True, slots=True)
class Dial:
    """The opening of a connection to a data centre.

    first is to be sent; both streams continue after it. from_dc is None where the data centre
    enciphers with the client's own key, so that its bytes go to the client as they are.
    """

    first: bytes
    to_dc: CipherContext
    from_dc: CipherContext | None


def read_init(init: bytes, secret: bytes, tags: frozenset[bytes]) -> Init | None:
    """Return the message as this secret decrypts it, or None where it was made with another secret.

    init is 64 bytes; tags are the framings allowed here.
    """
    keys = init[_KEYS]
    from_client = keystream(hashlib.sha256(keys[:KEY_BYTES] + secret).digest(), keys[KEY_BYTES:])
    plain = from_client.update(init)
    if plain[_TAG] not in tags:
        return None
    back = keys[::-1]
    key = hashlib.sha256(back[:KEY_BYTES] + secret).digest() + back[KEY_BYTES:]
    return Init(plain[_TAG], int.from_bytes(plain[_DC], "little", signed=True), from_client, key)


def dial(tag: bytes, dc: int, client_key: bytes | None) -> Dial:
    """Return the opening for a data centre with a fresh nonce.

    client_key, 48 bytes, makes the data centre answer with the client's own key
    (general.fast_mode).
    """
    raw = bytearray(os.urandom(INIT_BYTES))
    while raw.startswith(_RESERVED_STARTS) or raw[4:8] == _RESERVED_CONTINUES:
        raw[:8] = os.urandom(8)
    raw[_TAG] = tag
    raw[_DC] = dc.to_bytes(2, "little", signed=True)
    if client_key is not None:
        raw[_KEYS] = client_key[::-1]
    keys = bytes(raw[_KEYS])
    to_dc = keystream(keys[:KEY_BYTES], keys[KEY_BYTES:])
    first = bytes(raw[: _TAG.start]) + to_dc.update(bytes(raw))[_TAG.start :]
    if client_key is not None:
        return Dial(first, to_dc, None)
    back = keys[::-1]
    return Dial(first, to_dc, keystream(back[:KEY_BYTES], back[KEY_BYTES:]))


def keystream(key: bytes, iv: bytes) -> CipherContext:
    """Return a stream whose update() enciphers or deciphers: in counter mode they are the same."""
    return Cipher(AES(key), CTR(iv)).encryptor()
