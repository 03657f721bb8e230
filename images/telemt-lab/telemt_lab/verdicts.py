"""The verdicts on a client's first bytes."""

from dataclasses import dataclass

from .obfuscation import Init
from .records import Records
from .users import User


@dataclass(frozen=True, slots=True)
class Flight:
    """The ClientHello is valid: answer with these bytes and continue."""

    answer: bytes
    user: User
    delayed: bool = True


@dataclass(frozen=True, slots=True)
class Accepted:
    """The connection is a user's. records is set where it speaks fake TLS; rest is what it has
    already sent after the handshake, still encrypted."""

    user: User
    init: Init
    records: Records | None = None
    rest: bytes = b""

    @property
    def mode(self) -> str:
        """The mode's name: tls, secure or classic."""
        if self.records is not None:
            return "tls"
        return "secure" if self.init.tag == b"\xdd" * 4 else "classic"


@dataclass(frozen=True, slots=True)
class Fallback:
    """Not a user's: counted under reason, and relayed to the fallback site with the bytes in seen.

    kind is its class on the page of failed handshakes; name is the domain in the ClientHello;
    delayed says whether the answer waits as long as a valid one would.
    """

    reason: str
    seen: bytes = b""
    kind: str = ""
    name: str | None = None
    delayed: bool = True


@dataclass(frozen=True, slots=True)
class Refused:
    """Closed, and counted under reason where there is one; failure is the class in the metrics."""

    failure: str
    reason: str = ""
    answer: bytes = b""
    delayed: bool = False


Verdict = Flight | Accepted | Fallback | Refused
