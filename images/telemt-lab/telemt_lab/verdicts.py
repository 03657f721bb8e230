"""The verdicts on a client's first bytes."""

from dataclasses import dataclass

from .obfuscation import Init
from .records import Records
from .users import User


@dataclass(frozen=True, slots=True)
class Flight:
    """The ClientHello is good: answer with these bytes and go on."""

    answer: bytes
    user: User
    delayed: bool = True


@dataclass(frozen=True, slots=True)
class Accepted:
    """The client is a user's. records is set where it speaks fake TLS; rest is what it has already
    sent after the handshake, not deciphered."""

    user: User
    init: Init
    records: Records | None = None
    rest: bytes = b""

    @property
    def mode(self) -> str:
        """How links call it: tls, secure or classic."""
        if self.records is not None:
            return "tls"
        return "secure" if self.init.tag == b"\xdd" * 4 else "classic"


@dataclass(frozen=True, slots=True)
class Fallback:
    """Not a user's: counted as reason, and relayed to the fallback site with the bytes in seen.

    kind is the class it stands under on the page of failed handshakes; name is the domain asked
    for in a ClientHello; delayed says that the answer waits as long as a good one would.
    """

    reason: str
    seen: bytes = b""
    kind: str = ""
    name: str | None = None
    delayed: bool = True


@dataclass(frozen=True, slots=True)
class Refused:
    """Closed, counted as reason where there is one; failure is the class in the metrics."""

    failure: str
    reason: str = ""
    answer: bytes = b""
    delayed: bool = False


Verdict = Flight | Accepted | Fallback | Refused
