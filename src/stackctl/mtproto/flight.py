"""The server's side of fake TLS: a flight with a valid HMAC, or an answer from another server."""

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
"""Bytes: several times a site's whole certificate chain."""


class Seen(Enum):
    """What the flight is, as far as it has arrived."""

    UNFINISHED = "unfinished"
    VERIFIED = "verified"
    UNSIGNED = "unsigned"
    """The records are well formed, but the HMAC fits none of them so far."""
    STRANGER = "stranger"


class Flight:
    """Takes the server's bytes as they arrive, up to MAX_FLIGHT.

    Args:
        hello: the ClientHello that was sent.
        key: the 16 bytes of the secret.

    Attributes:
        seen: the judgement so far.
        rest: once verified: the bytes that came after the flight.
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
        """Whether the flight is complete and its HMAC valid."""
        return self.seen is Seen.VERIFIED

    @property
    def too_much(self) -> bool:
        """Whether more bytes came than any flight has."""
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
        """Whether more bytes of another server would tell nothing new."""
        if self._opener is not None and self.seen is Seen.STRANGER:
            return self._opener.certificate() is not None
        return self.seen is Seen.STRANGER and len(self._first) >= 512

    def stranger(self) -> str:
        """Which other server answered, as one clause."""
        if self._opener is None or self.seen is not Seen.STRANGER:
            return describe(bytes(self._first))
        shown = ", ".join(printable(name.encode()) for name in self.names[:3])
        more = f" and {len(self.names) - 3} more" if len(self.names) > 3 else ""
        return f"a real TLS 1.3 server with a certificate for {shown or 'nobody'}{more}"

    @property
    def names(self) -> tuple[str, ...]:
        """The names in a real server's certificate."""
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
        """Whether the flight may have this record here: ServerHello, ChangeCipherSpec, then
        data."""
        if not self._count:
            hello = parse_server_hello(record.payload) if record.kind == HANDSHAKE else None
            return hello is not None and not hello.retry
        if self._count == 1:
            return record.raw == CHANGE_CIPHER_SPEC
        return record.kind in {APPLICATION, CHANGE_CIPHER}

    def _judge(self, record: Record) -> None:
        # The HMAC covers all records of the flight. No field says how many there are, so the HMAC
        # is tried after each record.
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
