"""What is asked of a proxy and what came back."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

Mode = Literal["classic", "secure", "tls"]
"""How a client hides: obfuscated only, with random padding (dd), or as TLS (ee)."""

Framing = Literal["abridged", "intermediate", "padded"]
"""How messages are told apart inside the stream. `padded` goes with secure and tls."""

Hop = Literal["tls", "answer"]

KEY_BYTES = 16


@dataclass(frozen=True, slots=True)
class Secret:
    """What a user has. Never shown by repr.

    Attributes:
        mode: how the client is to hide.
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
    """A hop that was passed.

    Attributes:
        hop: "tls": the server's flight bears its HMAC; "answer": resPQ with our nonce.
        ms: milliseconds since the hop before it, or since the attempt began.
    """

    hop: Hop
    ms: float


@dataclass(frozen=True, slots=True)
class Failure:
    """Where it ended.

    Attributes:
        hop: the hop that was not passed.
        cause: "closed", "reset", "timeout", "network" (the kernel's error), "not-fake-tls" and
            "not-mtproto" (something else answered: a mask site or another server), "bad-hmac" (fake
            TLS of another secret), "bad-answer" (not a resPQ of ours), "dc-error" (the data
            centre's own error number), "too-much" (it sends and sends, and nothing that counts).
        detail: one sentence of what was seen, with numbers.
        names: whom the certificate names, where a real TLS server answered and showed one.
    """

    hop: Hop
    cause: str
    detail: str
    names: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Attempt:
    """The hops passed, in order, and the failure that ended it, if one did."""

    steps: tuple[Step, ...]
    failure: Failure | None
