"""The server's flight: verified at its last byte, in whatever pieces; strangers told apart."""

from __future__ import annotations

import ssl
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stackctl.mtproto.clienthello import client_hello
from stackctl.mtproto.flight import MAX_FLIGHT, Flight, Seen
from stackctl.mtproto.records import application_records

from .server import DOMAIN, KEY, Chance, flight
from .test_clienthello import real_server

HELLO = client_hello(KEY, DOMAIN, 1_700_000_000, Chance())


def fed(*pieces: bytes) -> Flight:
    found = Flight(HELLO, KEY)
    for piece in pieces:
        found.feed(piece)
    return found


@pytest.mark.parametrize("sizes", [(1500,), (64,), (16384, 3000), (900, 70, 70, 0)])
def test_it_is_verified_with_its_last_byte_and_not_before(sizes: tuple[int, ...]) -> None:
    whole = flight(HELLO.record, sizes=sizes)
    assert fed(whole).verified
    assert not fed(whole[:-1]).verified
    assert fed(whole + b"more").rest == b"more"
    assert fed(whole, b"more").rest == b"more"


def test_every_cut_and_every_byte_by_itself() -> None:
    whole = flight(HELLO.record, sizes=(120, 60)) + application_records(b"data")
    for cut in range(len(whole) + 1):
        found = fed(whole[:cut], whole[cut:])
        assert found.verified
        assert found.rest == application_records(b"data")
    assert fed(*(whole[i : i + 1] for i in range(len(whole)))).rest == application_records(b"data")


def test_records_behind_what_is_signed_are_data() -> None:
    whole = flight(HELLO.record, sizes=(100, 50), signed=1)
    found = fed(whole)
    assert found.verified
    assert len(found.rest) == 55


def test_a_change_of_any_byte_is_noticed() -> None:
    whole = flight(HELLO.record, sizes=(40,))
    for position in range(len(whole)):
        bad = whole[:position] + bytes([whole[position] ^ 1]) + whole[position + 1 :]
        assert not fed(bad).verified, position


def test_fake_tls_of_another_secret_is_unsigned() -> None:
    found = fed(flight(HELLO.record, key=bytes(16)))
    assert found.seen is Seen.UNSIGNED


@pytest.mark.parametrize(
    ("first", "words"),
    [
        (b"HTTP/1.1 400 Bad Request\r\nServer: nginx\r\n\r\n", "400 Bad Request (nginx)"),
        (b"\x15\x03\x03\x00\x02\x02\x70", "unrecognized_name (112)"),
        (b"\x15\x03\x01\x00\x02\x02\xf0", "number (240)"),
        (b"SSH-2.0-OpenSSH_9\r\n", "SSH server: SSH-2.0-OpenSSH_9"),
        (b"\x00\x01\x02", "first bytes 00 01 02"),
        (b"HTTP/1.1 200 \x1b[2J\r\n\r\n", "\ufffd[2J"),
        (b"\x16\x03\x03\x00\x04\x0b\0\0\0", "not an answer to our hello"),
    ],
)
def test_a_stranger_is_described(first: bytes, words: str) -> None:
    found = fed(first)
    assert found.seen is Seen.STRANGER
    assert words in found.stranger()
    # However it arrives, and with what follows cut to what is kept.
    assert words in fed(*(first[i : i + 1] for i in range(len(first)))).stranger()


@pytest.mark.parametrize("newest", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_real_servers_are_told_from_fake_ones(tmp_path: Path, newest: ssl.TLSVersion) -> None:
    server, to, back = real_server(tmp_path, newest)
    to.write(HELLO.record)
    with pytest.raises(ssl.SSLWantReadError):
        server.do_handshake()
    answer = back.read()
    for step in (1, 7, len(answer)):
        found = fed(*(answer[i : i + step] for i in range(0, len(answer), step)))
        assert found.seen is Seen.STRANGER
        if newest is ssl.TLSVersion.TLSv1_3:
            assert found.names == (DOMAIN,)
            assert found.complete
            assert "TLS 1.3 server with a certificate for www.example.com" in found.stranger()
        else:
            assert found.stranger() == "a real TLS 1.2 server"


def test_memory_is_bounded_however_much_comes() -> None:
    record = application_records(bytes(16384))
    found = fed(flight(HELLO.record, key=bytes(16)))
    for _ in range(100):
        found.feed(record)
    assert found.too_much
    assert found.received > MAX_FLIGHT
    assert len(found._first) == 512
    assert len(found._records.rest) < 20000


@given(st.lists(st.binary(max_size=3000), max_size=10))
def test_any_bytes_are_judged(pieces: list[bytes]) -> None:
    found = fed(*pieces)
    assert not found.verified
    assert found.stranger()


@given(st.binary(max_size=300), st.integers(0, 200), st.integers(1, 400))
def test_a_flight_that_is_cut_into_is_judged(noise: bytes, at: int, step: int) -> None:
    whole = flight(HELLO.record, sizes=(80,))
    bad = whole[:at] + noise + whole[at:]
    found = fed(*(bad[i : i + step] for i in range(0, len(bad), step)))
    assert found.verified == (not noise or at >= len(whole))
    assert found.stranger()
