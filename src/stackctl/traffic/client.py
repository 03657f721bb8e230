"""A load's connections as Telegram clients: the handshake up to resPQ, and pings while held."""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from hashlib import sha512
from math import ceil

from stackctl.mtproto.frames import FrameError, encode_frame
from stackctl.mtproto.handshake import Handshake
from stackctl.mtproto.model import Secret
from stackctl.mtproto.obfuscated import Obfuscation, usable
from stackctl.mtproto.records import RecordError, application_records
from stackctl.traffic.ping import PING_BYTES, PongError, PongReader, ping
from stackctl.traffic.slots import Slots
from stackctl.traffic.talk import DONE, WAITING, Heard


class Mtproto:
    """A Telegram client's handshake up to resPQ; round trips are pings.

    Args:
        secrets: taken in turn.
        slots: keep the positions of idle connections.
        seed: of this load; the nonce of a connection follows from it and from the connection's
            number, so keys can be derived again and need not be kept.
        size: bytes of a round trip, rounded up to whole pings.
    """

    at_once = b""

    def __init__(self, secrets: Sequence[Secret], slots: Slots, seed: bytes, size: int = 0) -> None:
        self._secrets = secrets
        self._slots = slots
        self._seed = seed
        self._pings = max(1, ceil(size / PING_BYTES))
        self._opening: dict[int, Handshake] = {}
        self._trips: dict[int, tuple[Obfuscation, PongReader]] = {}

    def opening(self, fd: int) -> bytes:
        """See Talk."""
        number = self._slots.number[fd]
        handshake = Handshake(
            self._secret(number),
            dc=2,
            framing="padded",
            unix_time=time.time(),
            random=os.urandom,
            nonce=nonce_of(self._seed, number),
        )
        self._opening[fd] = handshake
        return handshake.start(time.monotonic())

    def opened(self, fd: int, data: bytes) -> Heard:
        """See Talk."""
        handshake = self._opening[fd]
        reply = handshake.received(data, time.monotonic())
        if handshake.lingering:
            # A stranger answered; who it is does not matter here.
            return Heard(failure=self.ended(fd, "closed"))
        if handshake.result is None:
            return Heard(reply=reply) if reply else WAITING
        del self._opening[fd]
        if handshake.result.failure:
            return Heard(failure=handshake.result.failure.cause)
        if not handshake.between_frames:
            return Heard(failure="bad-answer")
        self._slots.sent[fd], self._slots.received[fd] = handshake.positions
        return DONE

    def ended(self, fd: int, cause: str) -> str:
        """See Talk."""
        handshake = self._opening.pop(fd, None)
        if handshake is None:
            return cause
        handshake.ended(cause, cause, time.monotonic())
        result = handshake.result
        return result.failure.cause if result and result.failure else cause

    def trip(self, fd: int) -> bytes:
        """See Talk."""
        cipher, reader = self._resumed(fd)
        messages = (ping(os.urandom(8), time.time()) for _ in range(self._pings))
        frames = []
        for message in messages:
            reader.expect(message)
            frames.append(encode_frame("padded", message, os.urandom))
        data = cipher.encrypt(b"".join(frames))
        return application_records(data) if self._mode(fd) == "tls" else data

    def answered(self, fd: int, data: bytes) -> Heard:
        """See Talk."""
        cipher, reader = self._resumed(fd)
        asked = bool(reader.waiting)
        try:
            reader.feed(data, cipher.decrypt)
        except (FrameError, PongError, RecordError):
            return Heard(failure="bad-answer")
        if reader.between_frames:
            # The frame is complete, so only the two positions have to be kept.
            self._slots.sent[fd], self._slots.received[fd] = cipher.sent, cipher.received
            if not reader.waiting:
                del self._trips[fd]
                return DONE if asked else WAITING
        return WAITING

    def forget(self, fd: int) -> None:
        """See Talk."""
        self._opening.pop(fd, None)
        self._trips.pop(fd, None)

    def _resumed(self, fd: int) -> tuple[Obfuscation, PongReader]:
        if fd not in self._trips:
            slots = self._slots
            number = slots.number[fd]
            nonce, key = nonce_of(self._seed, number), self._secret(number).key
            cipher = Obfuscation.resumed(nonce, key, slots.sent[fd], slots.received[fd])
            self._trips[fd] = cipher, PongReader(records=self._mode(fd) == "tls")
        return self._trips[fd]

    def _secret(self, number: int) -> Secret:
        return self._secrets[number % len(self._secrets)]

    def _mode(self, fd: int) -> str:
        return self._secret(self._slots.number[fd]).mode


def nonce_of(seed: bytes, number: int) -> bytes:
    """The 64 bytes of a connection's init: pseudo-random, and the same every time."""
    for again in range(256):
        nonce = sha512(seed + number.to_bytes(8, "big") + bytes([again])).digest()
        if usable(nonce):
            return nonce
    raise ValueError("256 digests in a row look like the start of another protocol")
