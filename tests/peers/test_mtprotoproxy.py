"""Through mtprotoproxy, which knows nothing of this project."""

from __future__ import annotations

import re
import socket
import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import replace
from typing import Any

import pytest

from stackctl.handshake.link import probe_link
from stackctl.handshake.link_model import LinkProbe, exit_status
from stackctl.mtproto import Attempt, Link, Secret, attempt

from .datacentre import DataCentre
from .telemt import DOMAIN, KEY

Start = Callable[..., AbstractContextManager[int]]
WAYS = [
    (Secret("classic", KEY), "abridged", "ef"),
    (Secret("classic", KEY), "intermediate", "ee"),
    (Secret("secure", KEY), None, "dd"),
    (Secret("tls", KEY, DOMAIN), None, "dd"),
]
MODES = [Secret("classic", KEY), Secret("secure", KEY), Secret("tls", KEY, DOMAIN)]


def tried(port: int, secret: Secret, **more: Any) -> Attempt:
    with socket.create_connection(("127.0.0.1", port)) as sock:
        return attempt(sock, secret, deadline=time.monotonic() + 30, **more)


def probed(port: int, secret: Secret, timeout: float = 2) -> LinkProbe:
    return probe_link(Link("127.0.0.1", port, secret), dc=2, timeout=timeout, pause=0)


def cause(seen: LinkProbe) -> str:
    (address,) = seen.addresses
    assert address.cause is not None
    assert address.cause.remedy
    assert int(exit_status(seen)) == 1
    return address.cause.word


def test_every_mode_gets_through(mtprotoproxy: Start, datacentre: DataCentre) -> None:
    with mtprotoproxy() as port:
        for secret, framing, tag in WAYS:
            seen = tried(port, secret, framing=framing)
            assert seen.failure is None
            assert [s.hop for s in seen.steps] == ["tls"] * (secret.mode == "tls") + ["answer"]
            assert datacentre.seen[-1][0] == tag
            assert int(exit_status(probed(port, secret))) == 0


def test_a_wrong_secret_meets_the_mask_site(mtprotoproxy: Start) -> None:
    with mtprotoproxy() as port:
        for secret in MODES:
            wrong = replace(secret, key=bytes(16))
            failure = tried(port, wrong).failure
            assert failure is not None
            if secret.mode == "tls":
                assert (failure.hop, failure.cause) == ("tls", "not-fake-tls")
                assert failure.names == (DOMAIN,)
            else:
                assert (failure.hop, failure.cause) == ("answer", "not-mtproto")
                assert "400 Bad Request" in failure.detail
            assert cause(probed(port, wrong)) == "secret"


def test_a_wrong_secret_meets_silence_where_there_is_no_mask(mtprotoproxy: Start) -> None:
    with mtprotoproxy(MASK=False) as port:
        wrong = Secret("secure", bytes(16))
        with socket.create_connection(("127.0.0.1", port)) as sock:
            failure = attempt(sock, wrong, deadline=time.monotonic() + 0.5).failure
        assert failure is not None
        assert (failure.hop, failure.cause) == ("answer", "timeout")
        assert cause(probed(port, wrong, 0.3)) == "refused-client"


def test_a_mode_that_is_not_allowed_is_named(mtprotoproxy: Start) -> None:
    with mtprotoproxy(SECURE_ONLY=True) as port:
        assert cause(probed(port, Secret("classic", KEY))) == "mode"
        assert int(exit_status(probed(port, Secret("secure", KEY)))) == 0


def test_proxy_protocol_that_is_expected_is_seen(mtprotoproxy: Start) -> None:
    with mtprotoproxy(PROXY_PROTOCOL=True) as port:
        for secret in MODES:
            assert cause(probed(port, secret)) == "proxy-expected"


@pytest.mark.parametrize("secret", MODES, ids=lambda secret: secret.mode)
def test_a_data_centre_that_is_mute_is_named(
    mtprotoproxy: Start, datacentre: DataCentre, secret: Secret
) -> None:
    datacentre.mute = True
    with mtprotoproxy() as port:
        assert cause(probed(port, secret, 0.5)) == "data-centre"


def test_an_error_of_the_data_centre_is_shown(mtprotoproxy: Start, datacentre: DataCentre) -> None:
    datacentre.error = -444
    with mtprotoproxy() as port:
        failure = tried(port, MODES[1]).failure
        assert failure is not None
        assert failure.cause == "dc-error"
        assert "-444" in failure.detail
        assert cause(probed(port, MODES[1])) == "data-centre"


@pytest.mark.parametrize("off", [-7200, 7200, -5000])
def test_a_clock_that_is_off_is_observed(
    mtprotoproxy: Start, monkeypatch: pytest.MonkeyPatch, off: int
) -> None:
    with mtprotoproxy() as port:
        now = time.time
        monkeypatch.setattr(time, "time", lambda: now() + off)
        seen = probed(port, MODES[2])
    assert cause(seen) == "clock"
    (address,) = seen.addresses
    assert address.cause is not None
    found = re.search(r"about (\d+) s (behind|ahead of) the proxy", address.cause.because)
    assert found is not None
    assert abs(int(found[1]) - abs(off)) <= 2
    assert found[2] == ("behind" if off < 0 else "ahead of")
