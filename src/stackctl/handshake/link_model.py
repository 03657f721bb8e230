"""What a probe of a link saw. It holds no secret."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from stackctl.errors import Exit
from stackctl.handshake.cause import Cause
from stackctl.mtproto import Failure, Mode

TrialName = Literal[
    "proxy-header", "site", "secure", "classic", "clock", "domain", "other-dc", "random-key"
]


@dataclass(frozen=True, slots=True)
class Hop:
    """A hop that was passed: resolve, connect, tls or answer, with its milliseconds."""

    name: str
    ms: float


@dataclass(frozen=True, slots=True)
class Trial:
    """A variation that was tried after the failure, to find its cause.

    Attributes:
        name: what was varied.
        passed: whether it got an answer: of a data centre, or for `site` of a web server.
        seen: what was seen, as one clause.
        value: what it was varied to: seconds (clock), a domain, a data centre's number.
    """

    name: TrialName
    passed: bool
    seen: str
    value: str = ""


@dataclass(frozen=True, slots=True)
class Evidence:
    """All evidence for an explanation.

    Attributes:
        mode: the link's.
        domain: the link's, empty without fake TLS.
        dc: the data centre asked for.
        passed: names of the hops passed.
        failure: how the handshake, or the connection before it, ended.
        trials: what was tried then.
    """

    mode: Mode
    domain: str
    dc: int
    passed: tuple[str, ...]
    failure: Failure | ConnectFailure
    trials: tuple[Trial, ...] = ()


@dataclass(frozen=True, slots=True)
class ConnectFailure:
    """No TCP connection.

    Attributes:
        cause: "refused", "timeout", "no-route" (this machine has no route to that address),
            "network".
        detail: one sentence of what was seen.
    """

    cause: str
    detail: str
    hop: Literal["connect"] = "connect"


@dataclass(frozen=True, slots=True)
class AddressProbe:
    """One address of the proxy."""

    address: str
    hops: tuple[Hop, ...]
    failure: Failure | ConnectFailure | None = None
    trials: tuple[Trial, ...] = ()
    cause: Cause | None = None


@dataclass(frozen=True, slots=True)
class LinkProbe:
    """A link, and each address that its host has.

    Attributes:
        host: as the link names it.
        port: TCP port.
        mode: the link's.
        domain: the link's, empty without fake TLS.
        dc: the data centre asked for.
        resolve: the hop that all addresses share; None where the name has no address.
        unresolved: why the name has no address.
        addresses: in the order of resolution.
    """

    host: str
    port: int
    mode: Mode
    domain: str
    dc: int
    resolve: Hop | None
    unresolved: Cause | None
    addresses: tuple[AddressProbe, ...]


def exit_status(probe: LinkProbe) -> Exit:
    """0: every address with a route from here answered; 3: no address accepted a connection."""
    connected = [seen for seen in probe.addresses if any(h.name == "connect" for h in seen.hops)]
    if not connected:
        return Exit.UNREACHABLE
    failed = [seen for seen in probe.addresses if seen.failure and seen.failure.cause != "no-route"]
    return Exit.SHORT if failed else Exit.OK
