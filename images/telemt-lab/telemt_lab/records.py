"""TLS records of a fake session: unwrapped from pieces of any size, and wrapped."""

HEADER_BYTES = 5
CHANGE_CIPHER_SPEC, ALERT, HANDSHAKE, APPLICATION = 0x14, 0x15, 0x16, 0x17
LONGEST_PLAIN = 16_384
_LONGEST = {APPLICATION: LONGEST_PLAIN + 256, CHANGE_CIPHER_SPEC: 1, ALERT: 2}
_SHORTEST = {APPLICATION: 1, CHANGE_CIPHER_SPEC: 1, ALERT: 2}


class RecordError(Exception):
    """The bytes are not a TLS record that may follow a handshake."""


def record(kind: int, payload: bytes) -> bytes:
    """Return one record; payload has at most 65,535 bytes."""
    return bytes([kind, 3, 3]) + len(payload).to_bytes(2, "big") + payload


def wrap(payload: bytes | memoryview) -> bytes:
    """Return application records that carry the payload."""
    if len(payload) <= LONGEST_PLAIN:
        return b"\x17\x03\x03" + len(payload).to_bytes(2, "big") + payload
    return b"".join(
        record(APPLICATION, bytes(payload[at : at + LONGEST_PLAIN]))
        for at in range(0, len(payload), LONGEST_PLAIN)
    )


def header(data: bytes | bytearray) -> tuple[int, int]:
    """Return kind and length of the record that begins with these five bytes.

    Raises RecordError for a kind, version or length that Telemt refuses.
    """
    kind, length = data[0], int.from_bytes(data[3:HEADER_BYTES], "big")
    if kind not in _LONGEST or data[1:3] != b"\x03\x03":
        raise RecordError(f"no record of a session: {bytes(data[:HEADER_BYTES]).hex()}")
    if not _SHORTEST[kind] <= length <= _LONGEST[kind]:
        raise RecordError(f"record of kind {kind:#x} with {length} bytes")
    return kind, length


class Records:
    """Unwraps a stream of records; never holds more than one header."""

    __slots__ = ("_header", "_kind", "_left", "broken", "ended")

    def __init__(self) -> None:
        self._header = bytearray()
        self._kind = 0
        self._left = 0
        self.ended = False
        """An alert came: the client sends nothing more."""
        self.broken = False
        """Bytes came that are not records; what was returned before them is valid."""

    @property
    def inside(self) -> bool:
        """Whether an incomplete record has begun."""
        return bool(self._left or self._header)

    def feed(self, data: bytes | memoryview) -> bytes | memoryview:
        """Return the application bytes of what has arrived; none once it has ended or is broken."""
        if self._kind == APPLICATION and len(data) <= self._left:
            # The common case, a part of one record, is not copied.
            self._left -= len(data)
            return data
        found: list[bytes | memoryview] = []
        at = 0
        while at < len(data) and not self.ended and not self.broken:
            if self._left:
                part = data[at : at + self._left]
                at += len(part)
                self._left -= len(part)
                if self._kind == APPLICATION:
                    found.append(part)
                elif self._kind == ALERT and not self._left:
                    self.ended = True
                continue
            missing = HEADER_BYTES - len(self._header)
            self._header += data[at : at + missing]
            at += missing
            if len(self._header) == HEADER_BYTES:
                self._begin()
        return found[0] if len(found) == 1 else b"".join(found)

    def _begin(self) -> None:
        try:
            self._kind, self._left = header(self._header)
        except RecordError:
            self.broken = True
        self._header.clear()
