"""Each cause from the evidence that bears it out, and never from less."""

from __future__ import annotations

import pytest

from stackctl.errors import Exit
from stackctl.handshake.cause import Cause
from stackctl.handshake.link_explain import explain
from stackctl.handshake.link_model import (
    AddressProbe,
    ConnectFailure,
    Evidence,
    Hop,
    LinkProbe,
    Trial,
    exit_status,
)
from stackctl.mtproto import Failure, Mode

CERTIFICATE = Failure("tls", "not-fake-tls", "a real TLS 1.3 server", ("www.example.com",))
PLAIN = Failure("tls", "not-fake-tls", "a web server over plain HTTP: HTTP/1.1 400 Bad Request")
CLOSED = Failure("tls", "closed", "the peer closed the connection after 3 ms")
NO_ANSWER = Failure("answer", "timeout", "nothing more came until the deadline")


def evidence(
    failure: Failure | ConnectFailure,
    *trials: Trial,
    mode: Mode = "tls",
    passed: tuple[str, ...] = ("connect",),
) -> Evidence:
    return Evidence(mode, "www.example.com" if mode == "tls" else "", 2, passed, failure, trials)


def trial(name: str, passed: bool = True, value: str = "") -> Trial:
    return Trial(name, passed, "seen", value)  # type: ignore[arg-type]


BEHIND = ("connect", "tls")
CASES: list[tuple[Evidence, str, str]] = [
    (evidence(ConnectFailure("refused", "")), "refused", "nothing listens"),
    (evidence(ConnectFailure("timeout", "")), "timeout", "drops the packets"),
    (evidence(ConnectFailure("no-route", "")), "no-route", "no route to that address"),
    (evidence(ConnectFailure("network", "")), "network", "could not be made"),
    (evidence(CLOSED, trial("proxy-header")), "proxy-expected", "expects one"),
    (evidence(PLAIN), "proxy-unexpected", "most likely a PROXY header"),
    (evidence(CERTIFICATE, trial("clock", value="900")), "clock", "about 900 s behind the proxy"),
    (evidence(CERTIFICATE, trial("clock", value="-300")), "clock", "about 300 s ahead of the"),
    (evidence(CLOSED, trial("clock", value="uptime")), "clock", "by more than 120 s"),
    (evidence(CERTIFICATE, trial("domain", value="b.org")), "domain", "with the domain b.org"),
    (evidence(CLOSED, trial("secure")), "domain", "the key is right"),
    (evidence(NO_ANSWER, passed=BEHIND), "data-centre", "knows this secret"),
    (
        evidence(NO_ANSWER, trial("other-dc", value="3"), passed=BEHIND),
        "data-centre",
        "3 and not 2",
    ),
    (
        evidence(NO_ANSWER, trial("random-key", False, "differs"), mode="secure"),
        "data-centre",
        "knows this secret",
    ),
    (
        evidence(NO_ANSWER, trial("random-key", False, "same"), mode="secure"),
        "refused-client",
        "does not know this secret",
    ),
    (evidence(NO_ANSWER, trial("classic"), mode="secure"), "mode", "not allow mode secure"),
    (evidence(NO_ANSWER, trial("secure"), mode="classic"), "mode", "not allow mode classic"),
    (
        evidence(Failure("answer", "dc-error", "its error -444"), mode="secure"),
        "data-centre",
        "-444",
    ),
    (evidence(CERTIFICATE), "secret", "does not know this secret or domain"),
    (evidence(Failure("answer", "not-mtproto", "HTTP"), mode="secure"), "secret", "fallback site"),
    (evidence(CLOSED), "refused-client", "not tried: this is not a private address"),
    (evidence(CLOSED, trial("proxy-header", False)), "refused-client", "or its limits refuse us"),
    (evidence(Failure("tls", "bad-hmac", "")), "bad-hmac", "not that of an MTProto proxy"),
    (
        evidence(Failure("answer", "bad-answer", ""), mode="classic"),
        "bad-answer",
        "not that of an MTProto proxy",
    ),
]


@pytest.mark.parametrize(("seen", "cause", "words"), CASES)
def test_a_cause_is_named_with_what_to_do(seen: Evidence, cause: str, words: str) -> None:
    found = explain(seen)
    assert found.word == cause
    assert words in found.because
    assert found.remedy


@pytest.mark.parametrize("name", ["proxy-header", "clock", "domain", "secure", "classic"])
def test_a_trial_that_fails_proves_nothing(name: str) -> None:
    assert explain(evidence(CERTIFICATE, trial(name, False, "5"))).word == "secret"


CONNECT, ANSWER = Hop("connect", 1.0), Hop("answer", 2.0)
WHY = Cause("", "", "")
GOOD = AddressProbe("192.0.2.1", (CONNECT, ANSWER))
BAD = AddressProbe("192.0.2.2", (CONNECT,), CLOSED, (), WHY)
REFUSED = AddressProbe("192.0.2.3", (), ConnectFailure("refused", ""), (), WHY)
NO_ROUTE = AddressProbe("2001:db8::1", (), ConnectFailure("no-route", ""), (), WHY)


@pytest.mark.parametrize(
    ("addresses", "wanted"),
    [
        ((), Exit.UNREACHABLE),
        ((GOOD,), Exit.OK),
        ((GOOD, NO_ROUTE), Exit.OK),
        ((GOOD, REFUSED), Exit.SHORT),
        ((GOOD, BAD), Exit.SHORT),
        ((BAD,), Exit.SHORT),
        ((REFUSED, NO_ROUTE), Exit.UNREACHABLE),
    ],
)
def test_the_exit_status(addresses: tuple[AddressProbe, ...], wanted: Exit) -> None:
    probe = LinkProbe("host", 443, "tls", "www.example.com", 2, Hop("resolve", 1), None, addresses)
    assert exit_status(probe) is wanted
