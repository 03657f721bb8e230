"""Messages inside the stream: abridged, intermediate and padded intermediate framing."""

from __future__ import annotations

from collections.abc import Callable

from stackctl.mtproto.model import Framing

MAX_FRAME = 4096
"""Bytes: far more than a resPQ has, far less than an attacker would make us buffer."""

MAX_PADDING = 15


class FrameError(ValueError):
    """A frame that no data centre sends as its first answer."""


def encode_frame(framing: Framing, payload: bytes, random: Callable[[int], bytes]) -> bytes:
    """One message as it goes into the stream; its length is a multiple of four."""
    if len(payload) % 4 or not payload:
        raise ValueError(f"a message of {len(payload)} bytes is not a multiple of four")
    if framing == "abridged":
        words = len(payload) // 4
        head = bytes([words]) if words < 0x7F else b"\x7f" + words.to_bytes(3, "little")
        return head + payload
    # 1 to 3 bytes: Telemt reads a padded length that is a multiple of four as one without padding.
    padding = random(1 + random(1)[0] % 3) if framing == "padded" else b""
    return (len(payload) + len(padding)).to_bytes(4, "little") + payload + padding


class FrameReader:
    """Takes decrypted bytes as they arrive, and returns whole frames. Holds one frame at most.

    Args:
        framing: which framing the init asked for.
    """

    def __init__(self, framing: Framing) -> None:
        self._abridged = framing == "abridged"
        self._held = bytearray()

    @property
    def held(self) -> int:
        """Bytes of a frame that is not complete yet."""
        return len(self._held)

    def feed(self, data: bytes) -> list[bytes]:
        """The frames that these bytes complete; a padded frame with its padding.

        Raises:
            FrameError: a length of 0, or above MAX_FRAME.
        """
        self._held += data
        frames = []
        while (head := self._head()) is not None:
            start, length = head
            if not 0 < length <= MAX_FRAME:
                raise FrameError(f"a frame of {length} bytes, 4 to {MAX_FRAME} expected")
            if len(self._held) < start + length:
                break
            frames.append(bytes(self._held[start : start + length]))
            del self._held[: start + length]
        return frames

    def _head(self) -> tuple[int, int] | None:
        """Where the payload of the first frame starts, and its length; None while its header is
        incomplete."""
        held = self._held
        if not self._abridged:
            return (4, int.from_bytes(held[:4], "little")) if len(held) >= 4 else None
        if not held:
            return None
        if held[0] != 0x7F:
            return 1, held[0] * 4
        return (4, int.from_bytes(held[1:4], "little") * 4) if len(held) >= 4 else None
