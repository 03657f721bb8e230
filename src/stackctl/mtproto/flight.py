"""The server's side of fake TLS: its flight bears an HMAC, or something else has answered."""

from __future__ import annotations

import hmac
from enum import Enum

from stackctl.mtproto.clienthello import DIGEST_AT, DIGEST_BYTES, ClientHello
from stackctl.mtproto.records import (
    APPLICATION,
    CHANGE_CIPHER,
    CHANGE_CIPHER_SPEC,
    HANDSHAKE,
    Record,
    RecordError,
    RecordReader,
)
from stackctl.mtproto.stranger import describe, printable
from stackctl.mtproto.tls13 import Opener, parse_server_hello

MAX_FLIGHT = 2**17
"""Bytes: a site's whole chain of certificates, several times over."""


class Seen(Enum):
    """What the flight is, as far as it has come."""

    UNFINISHED = "unfinished"
    VERIFIED = "verified"
    UNSIGNED = "unsigned"
    """Shaped as it should be, and the HMAC fits none of its records so far."""
    STRANGER = "stranger"


class Flight:
    """Takes bytes as they arrive; bounded by MAX_FLIGHT.

    Args:
        hello: what was sent.
        key: the 16 bytes of the secret.

    Attributes:
        seen: the judgement so far.
        rest: once verified: the bytes that came behind the flight.
        received: bytes so far.
    """

    def __init__(self, hello: ClientHello, key: bytes) -> None:
        self.seen = Seen.UNFINISHED
        self.rest = b""
        self.received = 0
        self._hello = hello
        self._mac = hmac.new(key, hello.digest, "sha256")
        self._digest = b""
        self._records = RecordReader()
        self._count = 0
        self._first = bytearray()
        self._opener: Opener | None = None

    @property
    def verified(self) -> bool:
        """Whether the flight is whole and bears its HMAC."""
        return self.seen is Seen.VERIFIED

    @property
    def too_much(self) -> bool:
        """Whether more came than any flight has."""
        return self.received > MAX_FLIGHT

    def feed(self, data: bytes) -> None:
        """More bytes from the peer."""
        self.received += len(data)
        self._first += data[: 512 - len(self._first)]
        if self.verified:
            self.rest += data
            return
        if self.seen is Seen.STRANGER and self._opener is None:
            return
        self._records.feed(data)
        try:
            while not self.verified and (record := self._records.next()):
                self._take(record)
        except RecordError:
            self._stranger()

    @property
    def complete(self) -> bool:
        """Whether more bytes of a stranger would tell nothing new."""
        if self._opener is not None and self.seen is Seen.STRANGER:
            return self._opener.certificate() is not None
        return self.seen is Seen.STRANGER and len(self._first) >= 512

    def stranger(self) -> str:
        """Who answered instead, as one clause."""
        if self._opener is None or self.seen is not Seen.STRANGER:
            return describe(bytes(self._first))
        shown = ", ".join(printable(name.encode()) for name in self.names[:3])
        more = f" and {len(self.names) - 3} more" if len(self.names) > 3 else ""
        return f"a real TLS 1.3 server with a certificate for {shown or 'nobody'}{more}"

    @property
    def names(self) -> tuple[str, ...]:
        """Whom a real server's certificate names."""
        return (self._opener.certificate() if self._opener else None) or ()

    def _take(self, record: Record) -> None:
        if self._opener is not None and self.seen is Seen.STRANGER:
            self._opener.open(record)
            return
        if not self._fits(record):
            self._stranger()
            return
        if not self._count:
            self._opener = Opener(self._hello.record, self._hello.private, record)
            self._digest = record.raw[DIGEST_AT : DIGEST_AT + DIGEST_BYTES]
            blank = bytes(DIGEST_BYTES)
            self._mac.update(record.raw[:DIGEST_AT] + blank)
            self._mac.update(record.raw[DIGEST_AT + DIGEST_BYTES :])
        else:
            self._mac.update(record.raw)
        self._count += 1
        if record.kind == APPLICATION:
            self._judge(record)

    def _fits(self, record: Record) -> bool:
        """Whether a flight may have this record here: hello, change of cipher, then data."""
        if not self._count:
            hello = parse_server_hello(record.payload) if record.kind == HANDSHAKE else None
            return hello is not None and not hello.retry
        if self._count == 1:
            return record.raw == CHANGE_CIPHER_SPEC
        return record.kind in {APPLICATION, CHANGE_CIPHER}

    def _judge(self, record: Record) -> None:
        # The HMAC covers as many records as the server counts to its flight; no field says how
        # many, so it is tried behind each.
        if hmac.compare_digest(self._mac.copy().digest(), self._digest):
            self.seen = Seen.VERIFIED
            self.rest = self._records.rest
        else:
            self.seen = Seen.UNSIGNED
            if self._count == 3 and self._opener is not None and self._opener.open(record):
                self.seen = Seen.STRANGER

    def _stranger(self) -> None:
        if self.seen is not Seen.STRANGER:
            self.seen = Seen.STRANGER
            self._opener = None
