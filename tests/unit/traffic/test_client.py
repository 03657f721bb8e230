"""A load's client opens, is kept as three numbers and continues, against a proxy of bytes."""

from __future__ import annotations

import os
import struct

import pytest

from stackctl.mtproto import Secret
from stackctl.mtproto.obfuscated import Obfuscation, usable
from stackctl.traffic.client import Mtproto, nonce_of
from stackctl.traffic.ping import PING_BYTES
from stackctl.traffic.slots import ASKED, Slots
from stackctl.traffic.talk import DONE, WAITING, Plain
from tests.unit.mtproto.server import DOMAIN, KEY, Proxy, ctr, flight, unwrapped, wrapped

SEED = b"\x05" * 32
FD = 7
SECURE, TLS = Secret("secure", KEY), Secret("tls", KEY, DOMAIN)
BOTH = pytest.mark.parametrize("secret", [SECURE, TLS], ids=["secure", "tls"])


class Far:
    """The other end of a connection: hears what the client sends, and answers pings."""

    def __init__(self, client: Mtproto, secret: Secret) -> None:
        import hashlib

        self.tls = secret.mode == "tls"
        first = client.opening(FD)
        if self.tls:
            heard = client.opened(FD, flight(first))
            first = unwrapped(heard.reply)
        self.proxy = Proxy(first)
        self.forth = ctr(hashlib.sha256(first[8:40] + KEY).digest(), first[40:56])
        self.forth.decrypt(first)

    def tell(self, data: bytes) -> bytes:
        return wrapped(data) if self.tls else data

    def pings(self, sent: bytes) -> list[bytes]:
        """Identifiers of the pings in what the client sent."""
        records, data = sent, b""
        while self.tls and records:
            size = int.from_bytes(records[3:5], "big")
            data, records = data + records[5 : 5 + size], records[5 + size :]
        plain = self.forth.decrypt(data if self.tls else sent)
        found = []
        while plain:
            size = int.from_bytes(plain[:4], "little")
            frame, plain = plain[4 : 4 + size], plain[4 + size :]
            assert frame[:8] == bytes(8)
            assert struct.unpack_from("<II", frame, 16) == (12, 0x7ABE77EC)
            found.append(frame[24:32])
        return found

    def pong(self, identifier: bytes, padding: bytes = b"\x01\x02") -> bytes:
        body = struct.pack("<IQ", 0x347773C5, 5) + identifier
        message = struct.pack("<QQI", 0, 1, len(body)) + body
        return self.tell(self.proxy.framed(message, padding))


def opened(secret: Secret, size: int = 0) -> tuple[Mtproto, Slots, Far]:
    slots = Slots(16, ciphers=True)
    slots.number[FD] = 3
    client = Mtproto([secret], slots, SEED, size)
    far = Far(client, secret)
    assert client.opened(FD, far.tell(far.proxy.answer(b"\x01"))) == DONE
    return client, slots, far


@BOTH
def test_an_open_connection_keeps_three_numbers(secret: Secret) -> None:
    client, slots, _ = opened(secret)
    assert not client._opening
    assert not client._trips
    # 64 of the init, and a frame of 44 with 1 to 3 of padding.
    assert slots.sent[FD] - 64 - 44 in {1, 2, 3}
    assert slots.received[FD] > 0
    assert slots.bytes_each <= 24


@BOTH
def test_round_trips_go_on_where_the_handshake_ended(secret: Secret) -> None:
    client, _, far = opened(secret, 100)
    for _round in range(5):
        identifiers = far.pings(client.trip(FD))
        assert len(set(identifiers)) == -(-100 // PING_BYTES)
        *most, last = identifiers
        for identifier in most:
            assert client.answered(FD, far.pong(identifier)) == WAITING
        answer = far.pong(last)
        # In pieces: nothing may be lost between two of them.
        for byte in answer[:-1]:
            assert client.answered(FD, bytes([byte])) == WAITING
        assert client.answered(FD, answer[-1:]) == DONE
        assert not client._trips


@BOTH
@pytest.mark.parametrize("wrong", [b"12345678", None])
def test_another_pong_is_no_answer(secret: Secret, wrong: bytes | None) -> None:
    client, _, far = opened(secret)
    far.pings(client.trip(FD))
    data = far.pong(wrong) if wrong else far.tell(os.urandom(64))
    assert client.answered(FD, data).failure == "bad-answer"


def test_an_answer_with_another_nonce_opens_nothing() -> None:
    slots = Slots(16, ciphers=True)
    client = Mtproto([SECURE], slots, SEED)
    far = Far(client, SECURE)
    far.proxy.nonce = bytes(16)
    assert client.opened(FD, far.proxy.answer()).failure == "bad-answer"


def test_a_stranger_is_told_from_a_silence() -> None:
    client = Mtproto([TLS], Slots(16, ciphers=True), SEED)
    client.opening(FD)
    assert client.opened(FD, b"HTTP/1.1 400 Bad Request\r\n\r\n").failure == "not-fake-tls"
    client.opening(FD)
    assert client.ended(FD, "answer-timeout") == "answer-timeout"
    client.opening(FD)
    assert client.opened(FD, flight(client.opening(FD), key=bytes(16))) == WAITING
    assert client.ended(FD, "answer-timeout") == "bad-hmac"
    assert client.ended(FD, "reset") == "reset"


@pytest.mark.parametrize("sent", [0, 1, 15, 16, 17, 64, 1000])
@pytest.mark.parametrize("received", [0, 5, 16, 333])
def test_a_cipher_resumed_is_the_one_that_went_on(sent: int, received: int) -> None:
    nonce = nonce_of(SEED, 1)
    # A counter at its end goes on from zero.
    nonce = nonce[:40] + b"\xff" * 16 + nonce[56:]
    whole = Obfuscation(nonce, KEY, "padded", 2)
    whole.encrypt(bytes(sent))
    whole.decrypt(bytes(received))
    again = Obfuscation.resumed(nonce, KEY, 64 + sent, received)
    assert (again.sent, again.received) == (whole.sent, whole.received)
    assert again.encrypt(b"x" * 40) == whole.encrypt(b"x" * 40)
    assert again.decrypt(b"x" * 40) == whole.decrypt(b"x" * 40)


def test_nonces_are_made_again_and_never_alike() -> None:
    nonces = [nonce_of(SEED, number) for number in range(500)]
    assert len(set(nonces)) == 500
    assert all(usable(nonce) for nonce in nonces)
    assert nonces[9] == nonce_of(SEED, 9)
    assert nonces[9] != nonce_of(b"\x06" * 32, 9)


def test_a_stranger_asks_in_more_bytes_than_an_init() -> None:
    plain = Plain("a.example", 500)
    assert len(plain.opening(FD)) > 64
    assert len(plain.trip(FD)) == 500
    assert plain.trip(FD).endswith(b"\r\n\r\n")
    assert Plain("a.example", 10).trip(FD) == plain.opening(FD)


def test_slots_without_ciphers_are_smaller() -> None:
    slots = Slots(100, ciphers=False)
    slots.state[99] = ASKED
    assert slots.bytes_each == 9
