"""A real TLS 1.3 server's answer: decrypted with our key share, read, never replied to."""

from __future__ import annotations

import hashlib
import hmac
from dataclasses import dataclass

from cryptography import x509
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.ciphers.aead import AESGCM, ChaCha20Poly1305
from cryptography.x509.oid import NameOID

from stackctl.mtproto.records import HEAD, Record

_SUITES: dict[bytes, tuple[str, int, type[AESGCM | ChaCha20Poly1305]]] = {
    b"\x13\x01": ("sha256", 16, AESGCM),
    b"\x13\x02": ("sha384", 32, AESGCM),
    b"\x13\x03": ("sha256", 32, ChaCha20Poly1305),
}
_RETRY = hashlib.sha256(b"HelloRetryRequest").digest()
_CERTIFICATE = 11
MAX_MESSAGES = 2**16
_UNREADABLE = (
    ValueError,
    x509.DuplicateExtension,
    x509.InvalidVersion,
    x509.UnsupportedGeneralNameType,
)
"""Errors of the library for bytes that are not a certificate, and for malformed certificates."""


@dataclass(frozen=True, slots=True)
class ServerHello:
    """What a ServerHello says in the clear."""

    suite: bytes
    share: bytes
    """The server's X25519 key; empty if it chose another group."""
    retry: bool


def parse_server_hello(payload: bytes) -> ServerHello | None:
    """The payload of a handshake record as a ServerHello, or None if it is not one."""
    if len(payload) < 40 or payload[0] != 2 or payload[4:6] != b"\x03\x03":
        return None
    after = 39 + payload[38]
    suite = payload[after : after + 2]
    share = b""
    position = after + 5
    while position + 4 <= len(payload):
        kind, size = payload[position : position + 2], payload[position + 2 : position + 4]
        end = position + 4 + int.from_bytes(size, "big")
        body = payload[position + 4 : end]
        if kind == b"\x00\x33" and body[:4] == b"\x00\x1d\x00\x20" and len(body) == 36:
            share = body[4:]
        position = end
    return ServerHello(suite, share, payload[6:38] == _RETRY)


class Opener:
    """Decrypts a real server's handshake records, one after the other.

    Args:
        hello: our ClientHello's record.
        private: the key of its X25519 share.
        answer: the record with the ServerHello.
    """

    def __init__(self, hello: bytes, private: bytes, answer: Record) -> None:
        self._aead: AESGCM | ChaCha20Poly1305 | None = None
        self._next = 0
        self._text = b""
        parsed = parse_server_hello(answer.payload)
        if parsed is None or parsed.retry or not parsed.share or parsed.suite not in _SUITES:
            return
        name, size, cipher = _SUITES[parsed.suite]
        try:
            peer = X25519PublicKey.from_public_bytes(parsed.share)
            shared = X25519PrivateKey.from_private_bytes(private).exchange(peer)
        except ValueError:
            return  # a fake share that is not a valid point: not a real server
        said = hashlib.new(name, hello[HEAD:] + answer.payload).digest()
        traffic = _server_traffic(name, shared, said)
        self._aead = cipher(_expand(name, traffic, b"key", b"", size))
        self._iv = _expand(name, traffic, b"iv", b"", 12)

    def open(self, record: Record) -> bool:
        """Whether this application record is the next one of a real server's handshake."""
        if self._aead is None or len(self._text) > MAX_MESSAGES:
            return False
        nonce = bytes(a ^ b for a, b in zip(self._iv, self._next.to_bytes(12, "big"), strict=True))
        try:
            inner = self._aead.decrypt(nonce, record.payload, record.raw[:HEAD])
        except (InvalidTag, ValueError):
            return False
        self._next += 1
        content = inner.rstrip(b"\0")
        if content.endswith(b"\x16"):
            self._text += content[:-1]
        return True

    def certificate(self) -> tuple[str, ...] | None:
        """The names in the server's certificate, or None while it is incomplete."""
        text = self._text
        while len(text) >= 4:
            end = 4 + int.from_bytes(text[1:4], "big")
            if len(text) < end:
                return None
            if text[0] == _CERTIFICATE:
                return certificate_names(text[4:end])
            text = text[end:]
        return None


def certificate_names(message: bytes) -> tuple[str, ...]:
    """The names in the first certificate of a Certificate message; none if it is unreadable."""
    start = 1 + message[0] + 6 if message else 0
    size = int.from_bytes(message[start - 3 : start], "big") if start else 0
    try:
        certificate = x509.load_der_x509_certificate(message[start : start + size])
        common = certificate.subject.get_attributes_for_oid(NameOID.COMMON_NAME)
        try:
            names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName)
            shown = names.value.get_values_for_type(x509.DNSName)
        except x509.ExtensionNotFound:
            shown = []
    except _UNREADABLE:
        return ()
    return tuple(shown or (str(name.value) for name in common))


def _server_traffic(name: str, shared: bytes, said: bytes) -> bytes:
    """The server's handshake traffic secret, RFC 8446 7.1."""
    zeros = bytes(hashlib.new(name).digest_size)
    early = hmac.digest(zeros, zeros, name)
    derived = _expand(name, early, b"derived", hashlib.new(name).digest(), len(zeros))
    return _expand(name, hmac.digest(derived, shared, name), b"s hs traffic", said, len(zeros))


def _expand(name: str, secret: bytes, label: bytes, context: bytes, size: int) -> bytes:
    """HKDF-Expand-Label; one block is enough for every size asked for here."""
    full = b"tls13 " + label
    info = size.to_bytes(2, "big") + bytes([len(full)]) + full + bytes([len(context)]) + context
    return hmac.digest(secret, info + b"\x01", name)[:size]
