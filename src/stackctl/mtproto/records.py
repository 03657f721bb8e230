"""TLS records: a header of five bytes, then the payload."""

from __future__ import annotations

from dataclasses import dataclass

CHANGE_CIPHER, ALERT, HANDSHAKE, APPLICATION = 0x14, 0x15, 0x16, 0x17
MAX_RECORD = 2**14 + 256
"""Bytes of an encrypted record's payload, RFC 8446 5.2."""
CHUNK = 2**14
HEAD = 5
CHANGE_CIPHER_SPEC = b"\x14\x03\x03\x00\x01\x01"


class RecordError(ValueError):
    """Bytes that are not a TLS record."""


@dataclass(frozen=True, slots=True)
class Record:
    """One record: its type, and all its bytes with the header."""

    kind: int
    raw: bytes

    @property
    def payload(self) -> bytes:
        """The bytes after the header."""
        return self.raw[HEAD:]


class RecordReader:
    """Takes bytes as they arrive, and returns whole records. Holds one record at most."""

    def __init__(self) -> None:
        self._held = bytearray()

    @property
    def rest(self) -> bytes:
        """Bytes of a record that is not complete yet."""
        return bytes(self._held)

    def feed(self, data: bytes) -> None:
        """More bytes from the peer."""
        self._held += data

    def next(self) -> Record | None:
        """The next whole record, if there is one.

        Raises:
            RecordError: the bytes are not a record; raised at the first byte that shows it.
        """
        held = self._held
        if held and not CHANGE_CIPHER <= held[0] <= APPLICATION:
            raise RecordError(f"type {held[0]:#04x}")
        if (len(held) > 1 and held[1] != 3) or (len(held) > 2 and held[2] > 4):
            raise RecordError(f"version {held[1:3].hex()}")
        if len(held) < HEAD:
            return None
        size = int.from_bytes(held[3:5], "big")
        if size > MAX_RECORD:
            raise RecordError(f"a length of {size}")
        if len(held) < HEAD + size:
            return None
        record = Record(held[0], bytes(held[: HEAD + size]))
        del held[: HEAD + size]
        return record


def application_records(data: bytes) -> bytes:
    """Data as application records."""
    chunks = (data[i : i + CHUNK] for i in range(0, len(data), CHUNK))
    return b"".join(b"\x17\x03\x03" + len(chunk).to_bytes(2, "big") + chunk for chunk in chunks)
