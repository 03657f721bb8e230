"""A client's first bytes, gathered until they can be judged. No socket, no clock, no loop."""

from .authentication import Authenticator
from .client_hello import RECORD_HEADER
from .obfuscation import INIT_BYTES
from .records import ALERT, APPLICATION, LONGEST_PLAIN, RecordError, Records, header, record
from .users import User
from .verdicts import Accepted, Fallback, Flight, Refused, Verdict

_SMALLEST_HELLO, _LARGEST_HELLO = 100, LONGEST_PLAIN
_PREFETCH = 16
_METHODS = (
    *(b"GET ", b"POST", b"HEAD", b"PUT ", b"DELETE"),
    *(b"OPTIONS", b"CONNECT", b"TRACE", b"PATCH", b"PRI "),
)
_BROKEN_OFF = "expected_64_got_0_unexpected_eof"


class Handshake:
    """Takes bytes as they arrive; holds no more than a ClientHello and the bytes that came with
    it."""

    __slots__ = ("_authenticator", "_host", "_payload", "_received", "_user")

    def __init__(self, authenticator: Authenticator, host: str) -> None:
        """host is the client's address."""
        self._authenticator = authenticator
        self._host = host
        self._received = bytearray()
        # Inside fake TLS: the records' payload so far, less than 64 bytes and one record.
        self._payload = bytearray()
        self._user: User | None = None

    @property
    def begun(self) -> bool:
        """Whether the client has sent anything."""
        return bool(self._received) or self._user is not None

    def feed(self, data: bytes | memoryview) -> Verdict | None:
        """Take bytes; returns the verdict, or None while more bytes are needed.

        After a Flight the handshake continues: call again, with no bytes if none have arrived.
        """
        self._received += data
        if self._user is not None:
            return self._inside_tls(self._user)
        if len(self._received) < RECORD_HEADER:
            return None
        if self._is_tls():
            return self._hello()
        if not self._authenticator.serves_plain:
            return self._fallback("direct_modes_disabled", self._received[:RECORD_HEADER])
        if len(self._received) < INIT_BYTES:
            return None
        init = bytes(self._received[:INIT_BYTES])
        accepted = self._authenticator.judge_init(init, self._host, None)
        if accepted is None:
            return self._fallback("direct_mtproto_bad_client", init)
        rest = bytes(self._received[INIT_BYTES:])
        return Accepted(accepted.user, accepted.init, None, rest)

    def end(self) -> Fallback | Refused | None:
        """The client has closed its side; None where it had sent nothing."""
        if not self.begun:
            return None
        if self._user is None and len(self._received) >= RECORD_HEADER and self._is_tls():
            return self._fallback("tls_clienthello_truncated", self._received)
        return Refused(_BROKEN_OFF)

    def _is_tls(self) -> bool:
        return bytes(self._received[:3]) in (b"\x16\x03\x01", b"\x16\x03\x03")

    def _fallback(self, reason: str, shown: bytes | bytearray) -> Fallback:
        """Relay all received bytes to the fallback site; shown is what Telemt would have read by
        then."""
        if len(shown) < _PREFETCH and bytes(shown).replace(b" ", b"a").isalpha():
            shown = self._received[:_PREFETCH]
        return Fallback(reason, bytes(self._received), kind_of(bytes(shown)))

    def _hello(self) -> Verdict | None:
        length = int.from_bytes(self._received[3:RECORD_HEADER], "big")
        if not _SMALLEST_HELLO <= length <= _LARGEST_HELLO:
            reason = "tls_clienthello_len_out_of_bounds"
            return self._fallback(reason, self._received[:RECORD_HEADER])
        if len(self._received) < RECORD_HEADER + length:
            return None
        hello = bytes(self._received[: RECORD_HEADER + length])
        verdict = self._authenticator.judge_hello(hello, self._host)
        if isinstance(verdict, Flight):
            self._user = verdict.user
            del self._received[: len(hello)]
        elif isinstance(verdict, Fallback):
            return Fallback(verdict.reason, bytes(self._received), kind_of(hello), verdict.name)
        return verdict

    def _inside_tls(self, user: User) -> Verdict | None:
        """Read records until one completes the 64 bytes; Telemt reads whole records."""
        while len(self._payload) < INIT_BYTES:
            if len(self._received) < RECORD_HEADER:
                return None
            try:
                kind, length = header(self._received)
            except RecordError:
                return Refused("other")
            if len(self._received) < RECORD_HEADER + length:
                return None
            if kind == ALERT:
                return Refused(_BROKEN_OFF)
            if kind == APPLICATION:
                self._payload += self._received[RECORD_HEADER : RECORD_HEADER + length]
            # Dropped at once, so that a client which sends only ChangeCipherSpec fills no memory.
            del self._received[: RECORD_HEADER + length]
        accepted = self._authenticator.judge_init(
            bytes(self._payload[:INIT_BYTES]), self._host, user
        )
        pending = bytes(self._payload[INIT_BYTES:])
        rest = (record(APPLICATION, pending) if pending else b"") + self._received
        if accepted is None:
            # The site gets only the bytes after the message, which it could not have understood
            # anyway.
            return Fallback("tls_mtproto_bad_client", rest, kind_of(b""))
        return Accepted(accepted.user, accepted.init, Records(), rest)


def kind_of(shown: bytes) -> str:
    """Return Telemt's class of a connection that is not a user's, by its first bytes."""
    window = shown[:_PREFETCH]
    if window.startswith(_METHODS) or (
        2 <= len(window) <= 3 and any(method.startswith(window) for method in _METHODS)
    ):
        return "HTTP"
    if len(shown) > 3 and shown.startswith(b"\x16\x03"):
        return "TLS-scanner"
    if shown.startswith(b"SSH-"):
        return "SSH"
    return "port-scanner" if len(shown) < 10 else "unknown"
