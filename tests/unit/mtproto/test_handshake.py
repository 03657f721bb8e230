"""The whole conversation, against a proxy made of bytes, cut at every boundary."""

from __future__ import annotations

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stackctl.mtproto import Attempt, Secret
from stackctl.mtproto.handshake import MAX_ANSWER, Handshake
from stackctl.mtproto.model import Framing

from .server import DOMAIN, KEY, Chance, Proxy, flight, res_pq, unwrapped, wrapped

WAYS: list[tuple[Secret, Framing]] = [
    (Secret("classic", KEY), "abridged"),
    (Secret("classic", KEY), "intermediate"),
    (Secret("secure", KEY), "padded"),
    (Secret("tls", KEY, DOMAIN), "padded"),
]
EVERY_WAY = pytest.mark.parametrize(("secret", "framing"), WAYS)
TLS = Secret("tls", KEY, DOMAIN)


def handshake(secret: Secret, framing: Framing = "padded") -> Handshake:
    return Handshake(secret, dc=2, framing=framing, unix_time=1_700_000_000, random=Chance())


def conversation(secret: Secret, framing: Framing) -> tuple[Handshake, bytes, bytes, Proxy]:
    """A handshake that has begun, the server's flight (tls), what comes after it, and the proxy."""
    client = handshake(secret, framing)
    first = client.start(0.0)
    if secret.mode != "tls":
        proxy = Proxy(first)
        return client, b"", proxy.answer(), proxy
    answer = flight(first, sizes=(300, 80))
    # A copy that is alike to the byte says what the client will send behind the flight.
    twin = handshake(secret, framing)
    twin.start(0.0)
    proxy = Proxy(unwrapped(twin.received(answer, 0.0)))
    return client, answer, wrapped(proxy.answer(b"pad"), 50), proxy


@EVERY_WAY
def test_what_is_sent_is_what_a_proxy_expects(secret: Secret, framing: Framing) -> None:
    _, _, _, proxy = conversation(secret, framing)
    tags = {"abridged": 0xEF, "intermediate": 0xEE, "padded": 0xDD}
    assert proxy.tag == tags[framing]
    assert proxy.dc == 2
    key, message_id, length, constructor = struct.unpack("<QQII", proxy.message[:24])
    assert (key, length, constructor) == (0, 20, 0xBE7E8EF1)
    assert (message_id >> 32, message_id % 4) == (1_700_000_000, 0)
    assert (len(proxy.padding) in {1, 2, 3}) == (framing == "padded")


@EVERY_WAY
def test_the_answer_may_be_cut_anywhere(secret: Secret, framing: Framing) -> None:
    _, head, rest, _ = conversation(secret, framing)
    whole = head + rest
    for cut in range(len(whole) + 1):
        client, _, _, _ = conversation(secret, framing)
        sent = client.received(whole[:cut], 0.25) + client.received(whole[cut:], 0.5)
        assert bool(sent) == (secret.mode == "tls"), cut
        assert client.result is not None, cut
        assert client.result.failure is None, cut
        hops = [step.hop for step in client.result.steps]
        assert hops == (["tls", "answer"] if secret.mode == "tls" else ["answer"])


@EVERY_WAY
def test_the_answer_may_come_byte_by_byte(secret: Secret, framing: Framing) -> None:
    client, head, rest, _ = conversation(secret, framing)
    for position, byte in enumerate(head + rest):
        assert client.result is None, position
        client.received(bytes([byte]), 0.001 * position)
    assert client.result is not None
    assert client.result.failure is None


def test_milliseconds_count_from_hop_to_hop() -> None:
    client, head, rest, _ = conversation(TLS, "padded")
    client.received(head, 0.25)
    client.received(rest, 0.75)
    assert client.result is not None
    assert [(step.hop, step.ms) for step in client.result.steps] == [("tls", 250), ("answer", 500)]


def ended(client: Handshake, cause: str = "closed") -> Attempt:
    client.ended(cause, "the peer went", 1.5)
    assert client.result is not None
    return client.result


@pytest.mark.parametrize("cause", ["closed", "reset", "timeout", "network"])
@EVERY_WAY
def test_an_end_says_hop_cause_and_numbers(secret: Secret, framing: Framing, cause: str) -> None:
    client, head, _, _ = conversation(secret, framing)
    failure = ended(client, cause).failure
    assert failure is not None
    assert (failure.hop, failure.cause) == ("tls" if secret.mode == "tls" else "answer", cause)
    assert "the peer went after 1500 ms; no bytes" in failure.detail
    if secret.mode == "tls":
        client, head, rest, _ = conversation(secret, framing)
        client.received(head + rest[:20], 1.0)
        result = ended(client, cause)
        assert [step.hop for step in result.steps] == ["tls"]
        assert result.failure is not None
        assert (result.failure.hop, result.failure.cause) == ("answer", cause)
        assert "after 500 ms; 20 bytes of an answer" in result.failure.detail


def test_a_flight_of_another_secret_is_a_bad_hmac() -> None:
    client = handshake(TLS)
    client.received(flight(client.start(0.0), key=bytes(16)), 0.0)
    failure = ended(client, "timeout").failure
    assert failure is not None
    assert (failure.hop, failure.cause) == ("tls", "bad-hmac")


@EVERY_WAY
def test_a_web_server_is_known_by_its_words(secret: Secret, framing: Framing) -> None:
    client = handshake(secret, framing)
    client.start(0.0)
    client.received(b"HTTP/1.1 400 Bad Request\r\nServer: nginx\r\n\r\n", 0.1)
    assert client.lingering == (secret.mode == "tls")
    failure = ended(client).failure
    assert failure is not None
    assert failure.cause == ("not-fake-tls" if secret.mode == "tls" else "not-mtproto")
    assert "HTTP/1.1 400 Bad Request (nginx)" in failure.detail


def answered(payload: bytes, secret: Secret = WAYS[2][0]) -> Attempt:
    client = handshake(secret)
    proxy = Proxy(client.start(0.0))
    client.received(proxy.framed(payload), 0.1)
    assert client.result is not None
    return client.result


@pytest.mark.parametrize(
    ("payload", "cause", "words"),
    [
        (struct.pack("<i", -404), "dc-error", "-404"),
        (res_pq(bytes(16)), "bad-answer", "another client's nonce"),
        (bytes(40), "bad-answer", "constructor"),
    ],
)
def test_answers_that_are_none(payload: bytes, cause: str, words: str) -> None:
    failure = answered(payload).failure
    assert failure is not None
    assert (failure.hop, failure.cause) == ("answer", cause)
    assert words in failure.detail


def test_a_tls_alert_behind_the_flight_is_no_answer() -> None:
    client, head, _, _ = conversation(TLS, "padded")
    client.received(head + b"\x15\x03\x03\x00\x02\x01\x00", 0.1)
    assert client.result is not None
    assert client.result.failure is not None
    assert client.result.failure.cause == "bad-answer"


def test_a_peer_that_only_streams_is_cut_off() -> None:
    client, head, _, _ = conversation(TLS, "padded")
    client.received(head, 0.0)
    empty = wrapped(b"\0", 1).replace(b"\x00\x01\x00", b"\x00\x00")
    rounds = 0
    while client.result is None:
        client.received(empty * 1000, 0.0)
        rounds += 1
    assert client.result.failure is not None
    assert client.result.failure.cause == "too-much"
    assert rounds * 5000 <= MAX_ANSWER + 5000
    client = handshake(TLS)
    client.received(flight(client.start(0.0), key=bytes(16)), 0.0)
    while client.result is None:
        client.received(wrapped(bytes(16384)), 0.0)
    assert client.result.failure is not None
    assert client.result.failure.cause == "too-much"


@EVERY_WAY
@given(pieces=st.lists(st.binary(max_size=2000), max_size=8))
def test_any_bytes_end_in_a_failure(secret: Secret, framing: Framing, pieces: list[bytes]) -> None:
    client = handshake(secret, framing)
    client.start(0.0)
    for piece in pieces:
        assert client.received(piece, 0.1) == b""
    failure = ended(client).failure
    assert failure is not None
    assert failure.cause in {"closed", "not-fake-tls", "not-mtproto", "bad-answer", "too-much"}
    assert KEY.hex() not in failure.detail


@given(pieces=st.lists(st.binary(max_size=2000), max_size=8))
def test_any_bytes_behind_the_flight_end_in_a_failure(pieces: list[bytes]) -> None:
    client, head, _, _ = conversation(TLS, "padded")
    client.received(head, 0.0)
    for piece in pieces:
        client.received(piece, 0.1)
    result = ended(client)
    assert result.failure is not None
    assert [step.hop for step in result.steps] == ["tls"]
