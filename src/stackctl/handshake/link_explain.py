"""Why a handshake with the proxy of a link failed, from what was seen and tried. Pure."""

from __future__ import annotations

from typing import Literal

from stackctl.handshake.cause import SKEW_SECONDS, Cause
from stackctl.handshake.link_model import Evidence, Trial, TrialName

_CONNECT = {
    "refused": (
        "nothing listens on that port there, or a firewall refuses it",
        "start the proxy, or open the port; compare the link's port with the one it listens on",
    ),
    "timeout": (
        "no answer to the connection: the machine is down, or packets are dropped on the way",
        "open the port in the firewalls between here and there, and see that the machine is up",
    ),
    "no-route": (
        "this machine has no way to that address",
        "probe from a machine that has; clients without it use another address",
    ),
    "network": (
        "the connection could not be made",
        "see what the kernel says above; probe again from another network",
    ),
}


def explain(seen: Evidence) -> Cause:
    """The first cause that the evidence bears out; what it cannot tell apart, it says so."""
    if seen.failure.hop == "connect":
        says, remedy = _CONNECT.get(seen.failure.cause, _CONNECT["network"])
        return Cause(seen.failure.cause, says, remedy)
    for cause in (_proxy_header, _clock, _domain, _behind, _mode, _stranger, _silent):
        if found := cause(seen):
            return found
    return Cause(
        seen.failure.cause,
        "what came back is not what an MTProto proxy says",
        "see that the link's address and port are the proxy's, and read its log at this time",
    )


def _trial(seen: Evidence, name: TrialName, passed: bool = True) -> Trial | None:
    return next((t for t in seen.trials if t.name == name and t.passed is passed), None)


def _proxy_header(seen: Evidence) -> Cause | None:
    if _trial(seen, "proxy-header"):
        return Cause(
            "proxy-expected",
            "with a PROXY header in front it passes: this port expects one, clients send none",
            "give clients the address of what sends the header (HAProxy), or switch "
            "proxy_protocol off here",
        )
    if seen.mode == "tls" and "over plain HTTP" in seen.failure.detail:
        return Cause(
            "proxy-unexpected",
            "a site answers our TLS hello in plain HTTP: what reaches it does not begin with the "
            "hello, so most likely a PROXY header is put before it that the proxy does not expect",
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
            "with a time stamp that stands for no clock it passes: the clocks differ by more than "
            f"{SKEW_SECONDS:.0f} s"
        )
        return Cause("clock", because, "set the clocks here and there by NTP")
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
            f"with the domain {trial.value} it passes; the link says {seen.domain}",
            "give out links with that domain, or put the link's domain into censorship.tls_domain",
        )
    if _trial(seen, "secure"):
        return Cause(
            "domain",
            f"the key is right (mode secure passes): the proxy does not take {seen.domain} for its "
            "domain, or no fake TLS at all",
            "compare the link's domain with censorship.tls_domain, and general.modes.tls there",
        )
    return None


def _behind(seen: Evidence) -> Cause | None:
    """The proxy took us in; what is behind it did not answer."""
    if seen.failure.hop != "answer":
        return None
    if seen.failure.cause == "dc-error":
        return Cause(
            "data-centre",
            f"data centre {seen.dc} itself refused: {seen.failure.detail}",
            "probe with another --dc; -444 means that it has no such number",
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
            f"look at the proxy's way to data centre {seen.dc}: dc_overrides, firewall, upstreams",
        )
    return Cause(
        "data-centre",
        f"the proxy knows this secret, and no answer of data centre {seen.dc} came: it cannot "
        "reach it, or a limit of this user is reached",
        "look at the proxy's way out (upstreams, dc_overrides, firewall) and at the user's limits",
    )


def _mode(seen: Evidence) -> Cause | None:
    modes: tuple[Literal["secure", "classic"], ...] = ("secure", "classic")
    for name in modes:
        if name != seen.mode and _trial(seen, name):
            return Cause(
                "mode",
                f"the same secret passes in mode {name}: mode {seen.mode} is not allowed there",
                f"allow it (general.modes.{seen.mode}), or give out links of mode {name}",
            )
    return None


def _stranger(seen: Evidence) -> Cause | None:
    if seen.failure.cause not in {"not-fake-tls", "not-mtproto"}:
        return None
    what = "secret or domain" if seen.mode == "tls" else "secret"
    return Cause(
        "secret",
        f"the proxy does not know this {what} and passed us on to its mask site, or there is no "
        "proxy at this address",
        f"compare the link's {what} with the proxy's configuration, and the address with its host",
    )


def _silent(seen: Evidence) -> Cause | None:
    if seen.failure.cause not in {"closed", "reset", "timeout"}:
        return None
    what = "secret or domain" if seen.mode == "tls" else "secret"
    header = (
        ""
        if any(t.name == "proxy-header" for t in seen.trials)
        else (", or it expects a PROXY header (not tried: this is no private address)")
    )
    return Cause(
        "refused-client",
        f"the connection is taken and nothing answers: the proxy does not know this "
        f"{what}{header}, or its limits keep us out",
        f"compare the link's {what} with the proxy's configuration; read its log at this time",
    )
