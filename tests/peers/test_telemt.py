"""Through Telemt: the binary of TELEMT_BINARY, else the lab's double; no test knows which."""

from __future__ import annotations

import socket
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import replace
from pathlib import Path
from threading import Thread
from typing import Any

import pytest

from stackctl.handshake.link import probe_link
from stackctl.handshake.link_model import AddressProbe, exit_status
from stackctl.mtproto import Attempt, Link, Secret, attempt

from .datacentre import DataCentre, free_port
from .telemt import DOMAIN, KEY
from .test_telethon import check_every_framing

Start = Callable[..., AbstractContextManager[int]]
TLS = Secret("tls", KEY, DOMAIN)
SECURE = Secret("secure", KEY)
CLASSIC = Secret("classic", KEY)
MODES = pytest.mark.parametrize("secret", [CLASSIC, SECURE, TLS], ids=lambda s: s.mode)


def tried(port: int, secret: Secret, **more: Any) -> Attempt:
    with socket.create_connection(("127.0.0.1", port)) as sock:
        return attempt(sock, secret, deadline=time.monotonic() + 30, **more)


def probed(port: int, secret: Secret, timeout: float = 15) -> AddressProbe:
    # A short pause is enough for few failures: Telemt's own grows with each.
    seen = probe_link(Link("127.0.0.1", port, secret), dc=2, timeout=timeout, pause=0.3)
    (address,) = seen.addresses
    assert int(exit_status(seen)) == (1 if address.failure else 0)
    return address


def cause(port: int, secret: Secret, timeout: float = 15) -> str:
    seen = probed(port, secret, timeout)
    assert seen.cause is not None
    assert seen.cause.remedy
    return seen.cause.word


def test_every_mode_gets_through(telemt: Start, datacentre: DataCentre) -> None:
    ways = [(CLASSIC, "abridged"), (CLASSIC, "intermediate"), (SECURE, None), (TLS, None)]
    with telemt() as port:
        for (secret, framing), tag in zip(ways, ["ef", "ee", "dd", "dd"], strict=True):
            for dc in (1, -2, 203):
                seen = tried(port, secret, framing=framing, dc=dc)
                assert seen.failure is None
                assert datacentre.seen[-1] == (tag, dc)
            assert probed(port, secret).failure is None


def test_a_flight_that_is_shaped_like_the_sites_is_verified(telemt: Start, tmp_path: Path) -> None:
    emulated = {
        "tls_emulation": True,
        "tls_front_dir": str(tmp_path / "front"),
        "tls_new_session_tickets": 2,
    }
    with telemt(censorship=emulated) as port:
        for _ in range(5):
            assert tried(port, TLS).failure is None


def test_telethon_gets_through(telemt: Start, datacentre: DataCentre) -> None:
    with telemt() as port:
        datacentre.seen.clear()  # Telemt looks at its data centres when it starts
        check_every_framing(port, datacentre)


def test_the_clock_may_be_off_by_two_minutes_and_no_more(telemt: Start) -> None:
    with telemt() as port:
        for off in (-115, 115):
            assert tried(port, TLS, unix_time=time.time() + off).failure is None
        for off in (-125, 125):
            failure = tried(port, TLS, unix_time=time.time() + off).failure
            assert failure is not None
            assert (failure.hop, failure.cause) == ("tls", "not-fake-tls")


def test_a_clock_that_is_off_is_observed(telemt: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    with telemt() as port:
        now = time.time
        monkeypatch.setattr(time, "time", lambda: now() - 900)
        seen = probed(port, TLS)
    assert seen.cause is not None
    assert seen.cause.word == "clock"
    assert "s behind the proxy's" in seen.cause.because
    (trial,) = [trial for trial in seen.trials if trial.name == "clock"]
    assert abs(float(trial.value) - 900) <= 2


@MODES
def test_a_wrong_secret_meets_the_mask_site(telemt: Start, secret: Secret) -> None:
    with telemt() as port:
        wrong = replace(secret, key=bytes(16))
        failure = tried(port, wrong).failure
        assert failure is not None
        if secret is TLS:
            assert (failure.cause, failure.names) == ("not-fake-tls", (DOMAIN,))
        else:
            assert failure.cause == "not-mtproto"
        assert cause(port, wrong) == "secret"


@MODES
def test_a_wrong_secret_is_refused_where_there_is_no_mask(telemt: Start, secret: Secret) -> None:
    silence = {"mask": False, "mask_relay_idle_timeout_ms": 200}
    with telemt(censorship=silence) as port:
        wrong = replace(secret, key=bytes(16))
        assert cause(port, wrong, 1) == "refused-client"


@pytest.mark.parametrize("action", ["drop", "mask"])
def test_a_wrong_domain_is_named(telemt: Start, action: str) -> None:
    with telemt(censorship={"unknown_sni_action": action}) as port:
        seen = probed(port, replace(TLS, domain="other.example.com"))
    assert seen.cause is not None
    assert seen.cause.word == "domain"
    if action == "mask":
        # The certificate says which one it should have been, and that one is tried.
        assert f"passes with the domain {DOMAIN}" in seen.cause.because


@pytest.mark.parametrize(
    ("allowed", "secret", "found"), [("classic", SECURE, "mode"), ("secure", CLASSIC, "mode")]
)
def test_a_mode_that_is_not_allowed_is_named(
    telemt: Start, allowed: str, secret: Secret, found: str
) -> None:
    modes = {mode: mode == allowed for mode in ("classic", "secure", "tls")}
    with telemt(general={"modes": modes}) as port:
        assert cause(port, secret) == found


@MODES
def test_a_proxy_header_that_is_expected_is_named(telemt: Start, secret: Secret) -> None:
    with telemt(server={"proxy_protocol": True}) as port:
        assert cause(port, secret) == "proxy-expected"


@contextmanager
def headed(port: int) -> Iterator[int]:
    """In front of a port: what comes is passed on behind a PROXY header."""

    def both_ways(client: socket.socket) -> None:
        with client, socket.create_connection(("127.0.0.1", port)) as server:
            server.sendall(b"PROXY TCP4 192.0.2.9 192.0.2.1 40000 443\r\n")
            back = Thread(target=pump, args=(server, client), daemon=True)
            back.start()
            pump(client, server)
            back.join(5)

    def pump(source: socket.socket, target: socket.socket) -> None:
        try:
            while data := source.recv(65536):
                target.sendall(data)
            target.shutdown(socket.SHUT_WR)
        except OSError:
            return

    def accept() -> None:
        while True:
            try:
                client = listener.accept()[0]
            except OSError:
                return
            Thread(target=both_ways, args=(client,), daemon=True).start()

    with socket.create_server(("127.0.0.1", free_port())) as listener:
        Thread(target=accept, daemon=True).start()
        yield int(listener.getsockname()[1])
        listener.shutdown(socket.SHUT_RDWR)


def test_a_proxy_header_that_is_not_expected_is_named(telemt: Start) -> None:
    with telemt() as port, headed(port) as front:
        assert cause(front, TLS) == "proxy-unexpected"


@MODES
def test_a_data_centre_that_is_mute_is_named(
    telemt: Start, datacentre: DataCentre, secret: Secret
) -> None:
    datacentre.mute = True
    with telemt() as port:
        assert cause(port, secret, 1) == "data-centre"


def test_a_data_centre_out_of_reach_is_named(telemt: Start, datacentre: DataCentre) -> None:
    with telemt(dc_overrides={"2": f"127.0.0.1:{free_port()}"}) as port:
        seen = probed(port, TLS)
    assert seen.cause is not None
    assert seen.cause.word == "data-centre"
    assert "reaches data centre 3 and not 2" in seen.cause.because
