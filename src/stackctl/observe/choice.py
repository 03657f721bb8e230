"""Which handshakes the probe is to make: users, modes, replicas, and the time for it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from stackctl.observe.request import ProbeHandshakes
from stackctl.plan.ports import TELEMT_PORT
from stackctl.spec import Stack

AT_ONCE = 32
"""Places the probe is at, at once."""

EACH = 3.0
"""Seconds for one handshake, of which a healthy stack takes hundredths."""


@dataclass(frozen=True, slots=True)
class Choice:
    """Handshakes that are wanted.

    Attributes:
        users: user name → secret. Never shown by repr.
        replicas: names; None for all that run.
        published: through the published address as well.
        arrivals: also see that the client's own address comes to the replica.
        seconds: all together.
    """

    users: Mapping[str, str] = field(repr=False)
    replicas: Sequence[str] | None = None
    published: bool = True
    arrivals: bool = False
    seconds: float = 10.0


def asked(
    stack: Stack,
    choice: Choice,
    published: tuple[str, int] | None,
    addresses: Mapping[str, str],
) -> ProbeHandshakes:
    """The probe's part of the request.

    Args:
        stack: its file.
        choice: what is wanted.
        published: where clients reach the stack, from the host.
        addresses: the replicas that run, each with the address that HAProxy reaches it at.
    """
    wanted = {
        name: address
        for name, address in addresses.items()
        if choice.replicas is None or name in choice.replicas
    }
    return ProbeHandshakes(
        users=choice.users,
        modes=stack.telemt.modes,
        domain=stack.telemt.domain,
        published=published if choice.published else None,
        links={
            name: f"/run/telemt/{name}/telemt.sock"
            if stack.link == "unix"
            else (address, TELEMT_PORT)
            for name, address in wanted.items()
        },
        arrivals=choice.arrivals,
        each=EACH,
        seconds=choice.seconds,
    )
