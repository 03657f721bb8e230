"""MTProto's ping before there is a key, and the pong that answers it. Pure."""

from __future__ import annotations

from collections.abc import Callable

from stackctl.mtproto.frames import FrameReader
from stackctl.mtproto.records import ALERT, APPLICATION, RecordError, RecordReader

PING, PONG = 0x7ABE77EC, 0x347773C5
_HEADER = 20
PING_BYTES = _HEADER + 12


class PongError(ValueError):
    """A frame that is not a pong to one of the pings sent."""


def ping(identifier: bytes, unix_time: float) -> bytes:
    """A ping as an unencrypted message.

    Args:
        identifier: 8 bytes that the pong has to repeat.
        unix_time: seconds; message ids are made from it.
    """
    message_id = int(unix_time * 2**32) & ~3
    body = PING.to_bytes(4, "little") + identifier
    return bytes(8) + message_id.to_bytes(8, "little") + len(body).to_bytes(4, "little") + body


def pong_identifier(frame: bytes) -> bytes:
    """The 8 bytes that a pong repeats; padding after it is ignored.

    Raises:
        PongError: the frame is not an unencrypted pong.
    """
    body = frame[_HEADER : _HEADER + 20]
    if any(frame[:8]) or len(body) < 20 or int.from_bytes(body[:4], "little") != PONG:
        raise PongError(f"a frame of {len(frame)} bytes is not a pong")
    return body[12:20]


class PongReader:
    """Takes bytes as they arrive, and the pings they answer.

    Args:
        records: the stream comes in TLS records.

    Attributes:
        waiting: identifiers of pings without an answer so far.
    """

    def __init__(self, *, records: bool) -> None:
        self.waiting: set[bytes] = set()
        self._frames = FrameReader("padded")
        self._records = RecordReader() if records else None

    @property
    def between_frames(self) -> bool:
        """Whether no part of an incomplete frame or record is buffered."""
        return not self._frames.held and not (self._records and self._records.rest)

    def expect(self, message: bytes) -> None:
        """Note a ping that was sent."""
        self.waiting.add(message[-8:])

    def feed(self, data: bytes, decrypt: Callable[[bytes], bytes]) -> None:
        """Take bytes from the peer.

        Raises:
            FrameError, RecordError, PongError: the bytes are not a pong to one of our pings.
        """
        for frame in self._frames.feed(decrypt(self._unwrapped(data))):
            identifier = pong_identifier(frame)
            if identifier not in self.waiting:
                raise PongError("a pong to a ping that nobody sent")
            self.waiting.remove(identifier)

    def _unwrapped(self, data: bytes) -> bytes:
        if self._records is None:
            return data
        self._records.feed(data)
        plain = bytearray()
        while (record := self._records.next()) is not None:
            if record.kind == ALERT:
                raise RecordError("a TLS alert")
            if record.kind == APPLICATION:
                plain += record.payload
        return bytes(plain)
