"""One connection of a proxy or client: 64 bytes, then frames."""

import asyncio
import time
from typing import cast

from cryptography.hazmat.primitives.ciphers import Cipher, CipherContext
from cryptography.hazmat.primitives.ciphers.algorithms import AES
from cryptography.hazmat.primitives.ciphers.modes import CTR

from .answers import answer, is_pq
from .framing import NAMES, Deframer, FrameError, frame
from .status import Counts

INIT_BYTES = 64
_TIMEOUT_S = 60.0


class InitError(Exception):
    """The first 64 bytes do not open the obfuscated transport."""


class Opened:
    """A stream whose first 64 bytes are read: its framing, its data centre, its two ciphers."""

    __slots__ = ("dc", "decipher", "encipher", "tag")

    def __init__(self, init: bytes) -> None:
        """Raises InitError where the deciphered bytes name no framing."""
        keys = init[8:56]
        self.decipher = _stream(keys)
        self.encipher = _stream(keys[::-1])
        plain = self.decipher.update(init)
        self.tag = plain[56:60]
        self.dc = int.from_bytes(plain[60:62], "little", signed=True)
        if self.tag not in NAMES:
            raise InitError("no framing of Telegram's in the first 64 bytes")


def _stream(keys: bytes) -> CipherContext:
    return Cipher(AES(keys[:32]), CTR(keys[32:])).encryptor()


class Session(asyncio.Protocol):
    """Answers every frame; stops reading while the peer does not take the answers."""

    def __init__(self, counts: Counts) -> None:
        self._counts = counts
        self._transport: asyncio.Transport | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._init = bytearray()
        self._opened: Opened | None = None
        self._deframer: Deframer | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Start a timer: the 64 bytes must arrive within a minute."""
        # uvloop's own class: it has the methods, not the ancestors.
        self._transport = cast("asyncio.Transport", transport)
        self._transport.set_write_buffer_limits(high=64 * 1024)
        self._timer = asyncio.get_running_loop().call_later(_TIMEOUT_S, self._transport.abort)

    def connection_lost(self, exc: Exception | None) -> None:
        """Stop the timer and count the session out."""
        self._stop_timer()
        if self._opened is not None:
            self._counts.sessions -= 1

    def pause_writing(self) -> None:
        """Stop reading while the peer does not read its answers."""
        if self._transport is not None and not self._transport.is_closing():
            self._transport.pause_reading()

    def resume_writing(self) -> None:
        """Read again."""
        if self._transport is not None and not self._transport.is_closing():
            self._transport.resume_reading()

    def data_received(self, data: bytes) -> None:
        """Take bytes in whatever pieces they come."""
        transport = self._transport
        if transport is None:
            return
        try:
            if self._opened is None:
                data = self._open(data, transport)
            if self._opened is not None and self._deframer is not None:
                self._answer(self._opened, self._deframer, data, transport)
        except (InitError, FrameError):
            transport.abort()

    def _open(self, data: bytes, transport: asyncio.Transport) -> bytes:
        self._init += data
        if len(self._init) < INIT_BYTES:
            return b""
        init, rest = bytes(self._init[:INIT_BYTES]), bytes(self._init[INIT_BYTES:])
        self._init.clear()
        self._stop_timer()
        opened = Opened(init)
        self._deframer = Deframer(opened.tag)
        host, port = transport.get_extra_info("peername")[:2]
        self._counts.began(opened.dc, NAMES[opened.tag], f"{host}:{port}")
        self._opened = opened
        return rest

    def _answer(
        self, opened: Opened, deframer: Deframer, data: bytes, transport: asyncio.Transport
    ) -> None:
        now = time.time()
        answers = [answer(payload, now) for payload in deframer.feed(opened.decipher.update(data))]
        self._counts.answered += sum(map(is_pq, answers))
        if answers:
            out = b"".join(frame(opened.tag, payload) for payload in answers)
            transport.write(opened.encipher.update(out))

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
