"""The client from its first byte to resPQ, as a state machine: bytes in, bytes out, no clock."""

from __future__ import annotations

from collections.abc import Callable

from stackctl.mtproto.clienthello import ClientHello, client_hello
from stackctl.mtproto.firstrequest import AnswerError, DataCentreError, parse_res_pq, req_pq_multi
from stackctl.mtproto.flight import Flight, Seen
from stackctl.mtproto.frames import FrameError, FrameReader, encode_frame
from stackctl.mtproto.model import Attempt, Failure, Framing, Hop, Secret, Step
from stackctl.mtproto.obfuscated import Obfuscation, new_nonce
from stackctl.mtproto.records import (
    ALERT,
    APPLICATION,
    CHANGE_CIPHER,
    CHANGE_CIPHER_SPEC,
    RecordError,
    RecordReader,
    application_records,
)
from stackctl.mtproto.stranger import describe, recognised

MAX_ANSWER = 2**16
"""Bytes that may come after the flight before the answer is complete."""


class Handshake:
    """One attempt. Call `start`, then `received` or `ended` until `result` is set.

    Args:
        secret: the user's secret.
        dc: the data centre to ask for.
        framing: framing of the messages; padded in modes secure and tls.
        unix_time: seconds, for the ClientHello's time stamp and the message id.
        random: a source of random bytes.
        nonce: 64 usable bytes for the init, drawn by default. With the nonce and `positions` the
            stream can be resumed: `Obfuscation.resumed`.

    Attributes:
        result: None until the attempt is over.
        lingering: whether another server answers, and a few more bytes would show which.
    """

    def __init__(
        self,
        secret: Secret,
        *,
        dc: int,
        framing: Framing,
        unix_time: float,
        random: Callable[[int], bytes],
        nonce: bytes | None = None,
    ) -> None:
        self.result: Attempt | None = None
        self.lingering = False
        self._secret = secret
        self._nonce = random(16)
        self._cipher = Obfuscation(nonce or new_nonce(random), secret.key, framing, dc)
        request = encode_frame(framing, req_pq_multi(self._nonce, unix_time), random)
        self._opening = self._cipher.init + self._cipher.encrypt(request)
        self._frames = FrameReader(framing)
        self._hello: ClientHello | None = None
        self._flight: Flight | None = None
        if secret.mode == "tls":
            self._hello = client_hello(secret.key, secret.domain, int(unix_time), random)
            self._flight = Flight(self._hello, secret.key)
        self._records = RecordReader()
        self._steps: list[Step] = []
        self._mark = 0.0
        self._received = 0
        self._first = bytearray()

    @property
    def hop(self) -> Hop:
        """The current hop."""
        return "tls" if self._secret.mode == "tls" and not self._steps else "answer"

    @property
    def positions(self) -> tuple[int, int]:
        """Bytes of the obfuscated stream sent and received so far."""
        return self._cipher.sent, self._cipher.received

    @property
    def between_frames(self) -> bool:
        """Whether no part of a next frame or record is held."""
        return not self._frames.held and not self._records.rest

    def start(self, now: float) -> bytes:
        """The first bytes to send.

        Args:
            now: seconds of a monotonic clock, here and in the other calls.
        """
        self._mark = now
        return self._hello.record if self._hello else self._opening

    def received(self, data: bytes, now: float) -> bytes:
        """Take received bytes; returns the bytes to send, often none."""
        if self.result is not None:
            return b""
        if self._flight is None or self._steps:
            self._take(data, now)
            return b""
        self._flight.feed(data)
        if self._flight.verified:
            self._pass("tls", now)
            self._take(self._flight.rest, now)
            return CHANGE_CIPHER_SPEC + application_records(self._opening)
        if self._flight.complete:
            self._not_fake_tls()
        elif self._flight.too_much:
            self._fail("too-much", f"{self._flight.received} bytes came without a complete flight")
        self.lingering = self.result is None and self._flight.seen is Seen.STRANGER
        return b""

    def ended(self, cause: str, how: str, now: float) -> None:
        """No more bytes will come.

        Args:
            cause: closed, reset, timeout or network, as in Failure.
            how: the cause as a clause: "the peer closed the connection".
            now: see start.
        """
        if self.result is not None:
            return
        after = f"after {(now - self._mark) * 1000:.0f} ms"
        if self.hop == "tls" and self._flight is not None:
            if self._flight.seen is Seen.STRANGER:
                self._not_fake_tls()
            elif self._flight.seen is Seen.UNSIGNED:
                detail = f"a flight of {self._flight.received} bytes has no HMAC of this secret"
                self._fail("bad-hmac", f"{detail}, and {how} {after}")
            else:
                came = f"{self._flight.received or 'no'} bytes of its flight had come"
                self._fail(cause, f"{how} {after}; {came}")
        elif self._stranger():
            self._not_mtproto()
        else:
            came = f"{self._received or 'no'} bytes of an answer had come"
            self._fail(cause, f"{how} {after}; {came}")

    def _take(self, data: bytes, now: float) -> None:
        """Take bytes of the stream: after the flight, or all of them in the other modes."""
        self._received += len(data)
        self._first += data[: 512 - len(self._first)]
        try:
            plain = self._unwrapped(data) if self._flight is not None else data
            for frame in self._frames.feed(self._cipher.decrypt(plain)):
                parse_res_pq(frame, self._nonce)
                self._pass("answer", now)
                self.result = Attempt(tuple(self._steps), None)
                return
        except DataCentreError as error:
            self._fail("dc-error", str(error))
        except (FrameError, AnswerError, RecordError) as error:
            if self._stranger():
                self._not_mtproto()
            else:
                self._fail("bad-answer", f"the bytes that came do not answer this client: {error}")
        if self.result is None and self._received > MAX_ANSWER:
            self._fail("too-much", f"{self._received} bytes came without an answer among them")

    def _unwrapped(self, data: bytes) -> bytes:
        self._records.feed(data)
        plain = bytearray()
        while (record := self._records.next()) is not None:
            if record.kind == ALERT:
                raise RecordError(f"a TLS alert, {record.payload[:2].hex(' ')}")
            if record.kind not in {APPLICATION, CHANGE_CIPHER}:
                raise RecordError(f"a record of type {record.kind:#04x}")
            if record.kind == APPLICATION:
                plain += record.payload
        return bytes(plain)

    def _pass(self, hop: Hop, now: float) -> None:
        self._steps.append(Step(hop, round((now - self._mark) * 1000, 3)))
        self._mark = now

    def _stranger(self) -> bool:
        """Whether the bytes are plainly another protocol's; after a verified flight they are
        data."""
        return self._flight is None and recognised(bytes(self._first))

    def _not_fake_tls(self) -> None:
        assert self._flight is not None
        detail = f"another server answered in the proxy's place: {self._flight.stranger()}"
        failure = Failure("tls", "not-fake-tls", detail, self._flight.names)
        self.result = Attempt((), failure)

    def _not_mtproto(self) -> None:
        who = describe(bytes(self._first))
        self._fail("not-mtproto", f"another server answered in the proxy's place: {who}")

    def _fail(self, cause: str, detail: str) -> None:
        self.result = Attempt(tuple(self._steps), Failure(self.hop, cause, detail))
