"""What a client asks of a proxy, and the result."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

Mode = Literal["classic", "secure", "tls"]
"""How a client hides: obfuscated only, with random padding (dd), or as TLS (ee)."""

Framing = Literal["abridged", "intermediate", "padded"]
"""How messages are delimited inside the stream. `padded` goes with secure and tls."""

Hop = Literal["tls", "answer"]

KEY_BYTES = 16


@dataclass(frozen=True, slots=True)
class Secret:
    """A user's secret. repr never shows the key.

    Attributes:
        mode: how the client hides.
        key: 16 bytes.
        domain: the site that mode tls pretends to talk to; empty in the other modes.
    """

    mode: Mode
    key: bytes = field(repr=False)
    domain: str = ""

    def __post_init__(self) -> None:
        if len(self.key) != KEY_BYTES:
            raise ValueError(f"the key has {len(self.key)} bytes instead of {KEY_BYTES}")
        if (self.mode == "tls") != bool(self.domain):
            raise ValueError("mode tls has a domain, the other modes have none")


@dataclass(frozen=True, slots=True)
class Step:
    """A hop that succeeded.

    Attributes:
        hop: "tls": the server's flight has a valid HMAC; "answer": resPQ with our nonce.
        ms: milliseconds since the previous hop, or since the start of the attempt.
    """

    hop: Hop
    ms: float


@dataclass(frozen=True, slots=True)
class Failure:
    """Where an attempt failed.

    Attributes:
        hop: the hop that failed.
        cause: "closed", "reset", "timeout", "network" (the kernel's error), "not-fake-tls" and
            "not-mtproto" (another server answered: a fallback site, for example), "bad-hmac" (fake
            TLS with another secret), "bad-answer" (not a resPQ for us), "dc-error" (the data
            centre's own error number), "too-much" (many bytes, but not the expected ones).
        detail: one sentence about what was seen, with numbers.
        names: names in the certificate, where a real TLS server answered with one.
    """

    hop: Hop
    cause: str
    detail: str
    names: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Attempt:
    """The hops that succeeded, in order, and the failure, if there was one."""

    steps: tuple[Step, ...]
    failure: Failure | None
