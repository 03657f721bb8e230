"""The request and its answer."""

from __future__ import annotations

import struct
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stackctl.mtproto.firstrequest import AnswerError, DataCentreError, parse_res_pq, req_pq_multi

from .server import res_pq

NONCE = bytes(range(16))


def test_the_request_byte_by_byte() -> None:
    message = req_pq_multi(NONCE, 1700000000.5)
    assert message.hex() == (
        "0000000000000000"  # no key
        "000000800 0f15365".replace(" ", "")  # half a second, then 1700000000
        + "14000000"
        + "f18e7ebe"
        + NONCE.hex()
    )


def test_an_answer_is_read_with_and_without_padding() -> None:
    for padding in (b"", b"\x01", b"\xff" * 15):
        found = parse_res_pq(res_pq(NONCE, keys=3) + padding, NONCE)
        assert found.pq == 0x17ED48941A08F981
        assert found.server_nonce == b"\x77" * 16
        assert found.fingerprints == (0x0706050403020100,) * 3


@pytest.mark.parametrize("padding", [b"", b"abc", b"x" * 15])
def test_an_error_number_is_the_data_centres(padding: bytes) -> None:
    with pytest.raises(DataCentreError, match="-404"):
        parse_res_pq(struct.pack("<i", -404) + padding, NONCE)


@pytest.mark.parametrize(
    ("frame", "match"),
    [
        (b"", "too short"),
        (bytes(19), "too short"),
        (b"\1" + res_pq(NONCE)[1:], "encrypted"),
        (res_pq(NONCE)[:-8], "instead of"),
        (bytes(16) + b"\xff\xff\xff\xff" + bytes(40), "instead of"),
        (bytes(20), "constructor"),
        (res_pq(bytes(16)), "another client's nonce"),
        (res_pq(NONCE, keys=65), "malformed"),
    ],
)
def test_anything_else_is_said_for_what_it_is(frame: bytes, match: str) -> None:
    with pytest.raises(AnswerError, match=match):
        parse_res_pq(frame, NONCE)


def test_every_byte_of_its_structure_counts() -> None:
    good = res_pq(NONCE)
    body = {*range(8), *range(16, 40), 56, *range(68, 76)}
    for position in body:
        bad = good[:position] + bytes([good[position] ^ 0x80]) + good[position + 1 :]
        with pytest.raises(AnswerError):
            parse_res_pq(bad, NONCE)


@pytest.mark.parametrize("length", range(len(res_pq(NONCE))))
def test_no_cut_is_taken_for_an_answer(length: int) -> None:
    with pytest.raises(AnswerError):
        parse_res_pq(res_pq(NONCE)[:length], NONCE)
    if length >= 24:
        # With a header that says the shorter length, too.
        cut = res_pq(NONCE)[:16] + struct.pack("<I", length - 20) + res_pq(NONCE)[20:length]
        with pytest.raises(AnswerError):
            parse_res_pq(cut, NONCE)


@given(st.binary(max_size=200), st.booleans())
def test_any_bytes_are_an_answer_or_an_error_of_answers(raw: bytes, headed: bool) -> None:
    head = struct.pack("<QQI", 0, 1, len(raw) + 20) + struct.pack("<I", 0x05162463) + NONCE
    with suppress(AnswerError):
        parse_res_pq(head + raw if headed else raw, NONCE)
