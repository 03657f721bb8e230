"""The init and both ciphers against vectors made with OpenSSL's command line."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stackctl.mtproto.obfuscated import TAGS, Obfuscation, new_nonce, usable

NONCE = bytes(range(1, 65))
KEY = bytes(range(0xA0, 0xB0))


def test_known_answers() -> None:
    # openssl enc -aes-256-ctr -K sha256(n[8:40] ‖ key) -iv n[40:56] over init ‖ "hello, world";
    # the way back with the key and IV from the reversed n[8:56], over "hello, client".
    cipher = Obfuscation(NONCE, KEY, "padded", 2)
    assert cipher.init[:56] == NONCE[:56]
    assert cipher.init[56:].hex() == "a74f6684971f251a"
    assert cipher.encrypt(b"hello, world").hex() == "3fc2cbdbbdaa7973ae2bc1b6"
    assert cipher.decrypt(bytes.fromhex("b5b7c373c4e4630f54d866280c")) == b"hello, client"


@pytest.mark.parametrize("framing", TAGS)
def test_only_the_tail_depends_on_framing_and_data_centre(framing: str) -> None:
    first = Obfuscation(NONCE, KEY, framing, -2).init  # type: ignore[arg-type]
    second = Obfuscation(NONCE, KEY, framing, 203).init  # type: ignore[arg-type]
    assert first[:60] == second[:60]
    assert first[60:62] != second[60:62]


@pytest.mark.parametrize(
    "start",
    [b"\xef", b"HEAD", b"POST", b"GET ", b"\xee" * 4, b"\xdd" * 4, b"\x16\x03\x01\x02"],
)
def test_other_protocols_beginnings_are_not_used(start: bytes) -> None:
    bad = start + NONCE[len(start) :]
    assert not usable(bad)
    tries = iter([bad, NONCE[:4] + bytes(4) + NONCE[8:], NONCE])
    assert new_nonce(lambda _: next(tries)) == NONCE


@given(st.lists(st.binary(max_size=40), max_size=8))
def test_the_stream_does_not_depend_on_its_pieces(pieces: list[bytes]) -> None:
    whole, cut = Obfuscation(NONCE, KEY, "padded", 1), Obfuscation(NONCE, KEY, "padded", 1)
    assert b"".join(map(cut.encrypt, pieces)) == whole.encrypt(b"".join(pieces))
    assert b"".join(map(cut.decrypt, pieces)) == whole.decrypt(b"".join(pieces))
