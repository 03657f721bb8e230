"""Telegram's three framings: frames from a stream, and back. Pure."""

import os

ABRIDGED, INTERMEDIATE, PADDED = b"\xef" * 4, b"\xee" * 4, b"\xdd" * 4
NAMES = {ABRIDGED: "abridged", INTERMEDIATE: "intermediate", PADDED: "padded"}

# Far above what a lab sends; a larger frame is refused instead of buffered.
LONGEST_FRAME = 1 << 20

# A client asks for a quick acknowledgement with this bit; it gets none here.
_QUICK_ACK = 0x80000000
_LONG = 0x7F


class FrameError(Exception):
    """The stream announces a frame that is too large or too small."""


class Deframer:
    """Takes a stream of one framing; holds at most one incomplete frame."""

    __slots__ = ("_received", "_tag")

    def __init__(self, tag: bytes) -> None:
        """tag is the framing's four bytes, one of NAMES."""
        self._tag = tag
        self._received = bytearray()

    def feed(self, data: bytes) -> list[bytes]:
        """Return the payloads complete by now, padding included.

        Raises FrameError for a length that is too large, or too small to hold anything.
        """
        self._received += data
        found = []
        at = 0
        while (head := self._head(at)) is not None:
            start, length = head
            if not 4 <= length <= LONGEST_FRAME:
                raise FrameError(f"frame of {length} bytes")
            if len(self._received) < start + length:
                break
            at = start + length
            found.append(bytes(self._received[start:at]))
        # Once for all frames: otherwise many small ones would be moved again and again.
        del self._received[:at]
        return found

    def _head(self, at: int) -> tuple[int, int] | None:
        """Where the payload of the frame at `at` begins, and its length; None if unknown yet."""
        left = len(self._received) - at
        if self._tag == ABRIDGED:
            if not left:
                return None
            words = self._received[at] & _LONG
            if words != _LONG:
                return at + 1, 4 * words
            length = 4 * int.from_bytes(self._received[at + 1 : at + 4], "little")
            return (at + 4, length) if left >= 4 else None
        if left < 4:
            return None
        length = int.from_bytes(self._received[at : at + 4], "little") & ~_QUICK_ACK
        return at + 4, length


def frame(tag: bytes, payload: bytes) -> bytes:
    """Return a frame; payload is a multiple of four bytes."""
    if tag == ABRIDGED:
        words = len(payload) // 4
        head = bytes([words]) if words < _LONG else bytes([_LONG]) + words.to_bytes(3, "little")
        return head + payload
    if tag == PADDED:
        payload += os.urandom(os.urandom(1)[0] % 4)
    return len(payload).to_bytes(4, "little") + payload
