"""AES-256-CTR, as both sides of the obfuscated transport use it."""

from cryptography.hazmat.primitives.ciphers import Cipher, CipherContext
from cryptography.hazmat.primitives.ciphers.algorithms import AES
from cryptography.hazmat.primitives.ciphers.modes import CTR

KEY_BYTES = 32
IV_BYTES = 16


def keystream(key: bytes, iv: bytes) -> CipherContext:
    """Return a stream whose update() enciphers or deciphers: in counter mode they are the same."""
    return Cipher(AES(key), CTR(iv)).encryptor()
