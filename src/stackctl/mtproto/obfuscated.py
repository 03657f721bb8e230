"""The obfuscated transport: 64 bytes that open a connection, then AES-256-CTR in both
directions."""

from __future__ import annotations

from collections.abc import Callable
from hashlib import sha256

from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.algorithms import AES
from cryptography.hazmat.primitives.ciphers.modes import CTR

from stackctl.mtproto.model import Framing

INIT_BYTES = 64
BLOCK_BYTES = 16
TAGS: dict[Framing, bytes] = {
    "abridged": b"\xef" * 4,
    "intermediate": b"\xee" * 4,
    "padded": b"\xdd" * 4,
}
"""Bytes 56..59 of the init: which framing follows."""

_TAKEN = (b"HEAD", b"POST", b"GET ", b"OPTI", b"\xee" * 4, b"\xdd" * 4, b"\x16\x03\x01\x02")
"""Beginnings of other protocols: a server tells the protocol by the first four bytes."""


class Obfuscation:
    """One connection's two ciphers. Not for reuse: a keystream may be used only once.

    Args:
        nonce: 64 bytes that `usable` accepts; bytes 56..61 are replaced by tag and data centre.
        key: the 16 bytes of the secret.
        framing: which tag to send.
        dc: number of the data centre, -32768..32767; negative ones are for media.

    Attributes:
        init: the 64 bytes to send first.
        sent: bytes of the stream towards the proxy so far.
        received: bytes of the stream from the proxy so far.
    """

    def __init__(self, nonce: bytes, key: bytes, framing: Framing, dc: int) -> None:
        plain = nonce[:56] + TAGS[framing] + dc.to_bytes(2, "little", signed=True) + nonce[62:64]
        self._begin(nonce, key, 0, 0)
        # The whole init goes through the cipher, so its keystream stands at 64 for what follows.
        self.init = plain[:56] + self.encrypt(plain)[56:]

    @classmethod
    def resumed(cls, nonce: bytes, key: bytes, sent: int, received: int) -> Obfuscation:
        """The same connection's ciphers at these positions, which a counter mode needs no history
        for.

        A load that holds many idle connections keeps two numbers for each instead of two ciphers.
        """
        resumed = cls.__new__(cls)
        resumed.init = b""
        resumed._begin(nonce, key, sent, received)
        return resumed

    def _begin(self, nonce: bytes, key: bytes, sent: int, received: int) -> None:
        backwards = nonce[8:56][::-1]
        self.sent, self.received = sent, received
        self._send = _cipher(nonce[8:40], key, nonce[40:56], sent).encryptor()
        self._receive = _cipher(backwards[:32], key, backwards[32:48], received).decryptor()
        self._send.update(bytes(sent % BLOCK_BYTES))
        self._receive.update(bytes(received % BLOCK_BYTES))

    def encrypt(self, data: bytes) -> bytes:
        """The next bytes towards the proxy."""
        self.sent += len(data)
        return self._send.update(data)

    def decrypt(self, data: bytes) -> bytes:
        """The next bytes from the proxy."""
        self.received += len(data)
        return self._receive.update(data)


def usable(nonce: bytes) -> bool:
    """Whether no server takes these 64 bytes for the beginning of another protocol."""
    return (
        len(nonce) == INIT_BYTES
        and nonce[0] != 0xEF
        and nonce[:4] not in _TAKEN
        and nonce[4:8] != bytes(4)
    )


def new_nonce(random: Callable[[int], bytes]) -> bytes:
    """64 usable bytes from a source of random bytes."""
    while not usable(nonce := random(INIT_BYTES)):
        pass
    return nonce


def _cipher(seed: bytes, key: bytes, iv: bytes, position: int) -> Cipher[CTR]:
    """The cipher, from the block with this position on."""
    counter = (int.from_bytes(iv, "big") + position // BLOCK_BYTES) % 2**128
    return Cipher(AES(sha256(seed + key).digest()), CTR(counter.to_bytes(BLOCK_BYTES, "big")))
