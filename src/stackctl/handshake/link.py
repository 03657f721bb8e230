"""Probe every address of a link, side by side."""

from __future__ import annotations

import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial

from stackctl.handshake.cause import Cause
from stackctl.handshake.link_connect import (
    MAX_ADDRESSES,
    UnresolvedError,
    as_reset,
    connect,
    resolve,
)
from stackctl.handshake.link_explain import explain
from stackctl.handshake.link_model import (
    AddressProbe,
    ConnectFailure,
    Evidence,
    Hop,
    LinkProbe,
)
from stackctl.handshake.link_trials import PAUSE, Target, try_more
from stackctl.mtproto import Attempt, Link, attempt

TRIAL = 4.0
"""Seconds at most for a trial after a failure."""
PATIENCE = 6
"""All trials together take at most this many times TRIAL, pauses aside."""


def probe_link(
    link: Link,
    *,
    dc: int,
    timeout: float,
    say: Callable[[str], None] = lambda _: None,
    pause: float = PAUSE,
) -> LinkProbe:
    """Resolve, connect, shake hands up to resPQ; after a failure, try variations to find the cause.

    Args:
        link: what a client would be given.
        dc: the data centre to ask for.
        timeout: seconds each for resolving, for connecting and for the handshake.
        say: gets a line when the probe takes longer.
        pause: seconds before each trial that follows a failure.
    """
    start = time.monotonic()
    known = (link.host, link.port, link.secret.mode, link.secret.domain, dc)
    try:
        addresses = resolve(link.host, timeout)
    except UnresolvedError as error:
        says = f"the name has no address: {error}"
        remedy = "correct the link's server or its DNS entry; check that DNS works on this machine"
        return LinkProbe(*known, None, Cause("unresolved", says, remedy), ())
    hop = Hop("resolve", _ms(start))
    with ThreadPoolExecutor(MAX_ADDRESSES) as pool:
        seen = tuple(pool.map(partial(_probe, link, dc, timeout, say, pause), addresses))
    return LinkProbe(*known, hop, None, seen)


def _probe(
    link: Link, dc: int, timeout: float, say: Callable[[str], None], pause: float, address: str
) -> AddressProbe:
    start = time.monotonic()
    sock = connect(address, link.port, timeout)
    connected = Hop("connect", _ms(start))
    if isinstance(sock, ConnectFailure):
        failure = as_reset(sock, link.secret)
        if failure is None:
            return _explained(link, dc, AddressProbe(address, (), sock))
        seen = Attempt((), failure)
    else:
        with sock:
            seen = attempt(sock, link.secret, dc=dc, deadline=time.monotonic() + timeout)
    hops = (connected, *(Hop(step.hop, step.ms) for step in seen.steps))
    if seen.failure is None:
        return AddressProbe(address, hops)
    each = min(timeout, TRIAL)
    most = PATIENCE * each + 20 * pause
    say(f"{address}: failed at {seen.failure.hop}; looking for the cause, {most:.0f} s at most")
    deadline = time.monotonic() + most
    target = Target(address, link.port, link.secret, dc, each, deadline, pause)
    trials = try_more(target, seen.failure)
    return _explained(link, dc, AddressProbe(address, hops, seen.failure, trials))


def _explained(link: Link, dc: int, probed: AddressProbe) -> AddressProbe:
    assert probed.failure is not None
    evidence = Evidence(
        mode=link.secret.mode,
        domain=link.secret.domain,
        dc=dc,
        passed=tuple(hop.name for hop in probed.hops),
        failure=probed.failure,
        trials=probed.trials,
    )
    return AddressProbe(
        probed.address, probed.hops, probed.failure, probed.trials, explain(evidence)
    )


def _ms(start: float) -> float:
    return round((time.monotonic() - start) * 1000, 3)
