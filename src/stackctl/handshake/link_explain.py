"""Why a handshake with the proxy of a link failed, from what was seen and tried. Pure."""

from __future__ import annotations

from typing import Literal

from stackctl.handshake.cause import SKEW_SECONDS, Cause
from stackctl.handshake.link_model import Evidence, Trial, TrialName

_CONNECT = {
    "refused": (
        "nothing listens on that port, or a firewall refuses the connection",
        "start the proxy, or open the port; compare the link's port with the proxy's",
    ),
    "timeout": (
        "connect() got no answer: the machine is down, or a firewall drops the packets",
        "open the port in the firewalls on the way, and check that the machine is up",
    ),
    "no-route": (
        "this machine has no route to that address",
        "probe from a machine with a route; clients without one use another address",
    ),
    "network": (
        "the connection could not be made",
        "see the kernel's error above; probe again from another network",
    ),
}


def explain(seen: Evidence) -> Cause:
    """The first cause that the evidence supports; causes it cannot tell apart stand together."""
    if seen.failure.hop == "connect":
        says, remedy = _CONNECT.get(seen.failure.cause, _CONNECT["network"])
        return Cause(seen.failure.cause, says, remedy)
    for cause in (_proxy_header, _clock, _domain, _behind, _mode, _stranger, _silent):
        if found := cause(seen):
            return found
    return Cause(
        seen.failure.cause,
        "the answer is not that of an MTProto proxy",
        "check that the link's address and port are the proxy's; read its log at this time",
    )


def _trial(seen: Evidence, name: TrialName, passed: bool = True) -> Trial | None:
    return next((t for t in seen.trials if t.name == name and t.passed is passed), None)


def _proxy_header(seen: Evidence) -> Cause | None:
    if _trial(seen, "proxy-header"):
        return Cause(
            "proxy-expected",
            "the handshake passes with a PROXY header before it: this port expects one, and "
            "clients send none",
            "give clients the address of HAProxy, which sends the header, or switch proxy_protocol "
            "off on this port",
        )
    if seen.mode == "tls" and "over plain HTTP" in seen.failure.detail:
        return Cause(
            "proxy-unexpected",
            "a site answers our TLS hello in plain HTTP, so the bytes that reach it do not begin "
            "with the hello: most likely a PROXY header stands before it that the proxy does not "
            "expect",
            "switch the PROXY protocol on at both sides (send-proxy-v2 and proxy_protocol = true) "
            "or at neither",
        )
    return None


def _clock(seen: Evidence) -> Cause | None:
    trial = _trial(seen, "clock")
    if not trial:
        return None
    try:
        shift = float(trial.value)
    except ValueError:
        because = (
            "the handshake passes with the time stamp of a client without a clock: the clocks "
            f"differ by more than {SKEW_SECONDS:.0f} s"
        )
        return Cause("clock", because, "set this machine's clock and the proxy's by NTP")
    way = "behind" if shift > 0 else "ahead of"
    return Cause(
        "clock",
        f"this machine's clock is about {abs(shift):.0f} s {way} the proxy's ({trial.seen})",
        "set this machine's clock by NTP; if it is right, set the proxy's",
    )


def _domain(seen: Evidence) -> Cause | None:
    if seen.mode != "tls" or seen.failure.hop != "tls":
        return None
    if trial := _trial(seen, "domain"):
        return Cause(
            "domain",
            f"the handshake passes with the domain {trial.value}; the link has {seen.domain}",
            "give out links with that domain, or set censorship.tls_domain to the link's domain",
        )
    if _trial(seen, "secure"):
        return Cause(
            "domain",
            f"the key is right (mode secure passes): the proxy's domain is not {seen.domain}, or "
            "it does not allow fake TLS",
            "compare the link's domain with the proxy's censorship.tls_domain; see its "
            "general.modes.tls",
        )
    return None


def _behind(seen: Evidence) -> Cause | None:
    """The proxy accepted us as a user; the data centre behind it did not answer."""
    if seen.failure.hop != "answer":
        return None
    if seen.failure.cause == "dc-error":
        return Cause(
            "data-centre",
            f"data centre {seen.dc} itself refused: {seen.failure.detail}",
            "probe with another --dc; -444 means that there is no data centre of that number",
        )
    known = "tls" in seen.passed
    other_treated = _trial(seen, "random-key", passed=False)
    if not known and other_treated and other_treated.value == "differs":
        known = True
    if not known or seen.failure.cause in {"not-mtproto", "bad-answer"}:
        return None
    if trial := _trial(seen, "other-dc"):
        return Cause(
            "data-centre",
            f"the proxy reaches data centre {trial.value} and not {seen.dc}",
            f"check the proxy's route to data centre {seen.dc}: dc_overrides, firewall, upstreams",
        )
    return Cause(
        "data-centre",
        f"the proxy knows this secret, but data centre {seen.dc} did not answer: the proxy cannot "
        "reach it, or this user is at a limit",
        "check the proxy's upstreams, dc_overrides and firewall, and the user's limits",
    )


def _mode(seen: Evidence) -> Cause | None:
    modes: tuple[Literal["secure", "classic"], ...] = ("secure", "classic")
    for name in modes:
        if name != seen.mode and _trial(seen, name):
            return Cause(
                "mode",
                f"the same secret passes in mode {name}: the proxy does not allow mode {seen.mode}",
                f"allow it (general.modes.{seen.mode}), or give out links of mode {name}",
            )
    return None


def _stranger(seen: Evidence) -> Cause | None:
    if seen.failure.cause not in {"not-fake-tls", "not-mtproto"}:
        return None
    what = "secret or domain" if seen.mode == "tls" else "secret"
    return Cause(
        "secret",
        f"the proxy does not know this {what} and passed us on to its fallback site, or there is "
        "no proxy at this address",
        f"compare the link's {what} with the proxy's configuration, and the link's address with "
        "the proxy's",
    )


def _silent(seen: Evidence) -> Cause | None:
    if seen.failure.cause not in {"closed", "reset", "timeout"}:
        return None
    what = "secret or domain" if seen.mode == "tls" else "secret"
    header = (
        ""
        if any(t.name == "proxy-header" for t in seen.trials)
        else (", or it expects a PROXY header (not tried: this is not a private address)")
    )
    return Cause(
        "refused-client",
        f"the connection is accepted and gets no answer: the proxy does not know this "
        f"{what}{header}, or its limits refuse us",
        f"compare the link's {what} with the proxy's configuration; read its log at this time",
    )
