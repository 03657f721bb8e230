"""Framing, whole and in pieces."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stackctl.mtproto.frames import MAX_FRAME, FrameError, FrameReader, encode_frame

from .server import Chance

FRAMINGS = ["abridged", "intermediate", "padded"]
WORDS = st.integers(1, 300).flatmap(lambda n: st.binary(min_size=4 * n, max_size=4 * n))


def test_known_answers() -> None:
    chance = Chance()
    assert encode_frame("abridged", bytes(8), chance) == b"\x02" + bytes(8)
    assert encode_frame("abridged", bytes(0x7F * 4), chance)[:4] == b"\x7f\x7f\0\0"
    assert encode_frame("intermediate", bytes(8), chance) == b"\x08\0\0\0" + bytes(8)
    sizes = {len(encode_frame("padded", bytes(8), chance)) for _ in range(60)}
    assert sizes == {13, 14, 15}


@pytest.mark.parametrize("framing", FRAMINGS)
@pytest.mark.parametrize("payload", [b"", b"abc"])
def test_a_message_is_a_multiple_of_four(framing: str, payload: bytes) -> None:
    with pytest.raises(ValueError, match="multiple of four"):
        encode_frame(framing, payload, Chance())  # type: ignore[arg-type]


@pytest.mark.parametrize("framing", FRAMINGS)
@given(st.lists(WORDS, min_size=1, max_size=4), st.integers(1, 9))
def test_frames_come_out_as_they_went_in(framing: str, sent: list[bytes], step: int) -> None:
    chance = Chance()
    stream = b"".join(encode_frame(framing, part, chance) for part in sent)  # type: ignore[arg-type]
    reader = FrameReader(framing)  # type: ignore[arg-type]
    got = [f for i in range(0, len(stream), step) for f in reader.feed(stream[i : i + step])]
    assert len(got) == len(sent)
    assert all(frame.startswith(part) for frame, part in zip(got, sent, strict=True))
    assert all(len(frame) - len(part) <= 3 for frame, part in zip(got, sent, strict=True))
    assert reader.held == 0
    assert FrameReader(framing).feed(stream) == got  # type: ignore[arg-type]


@pytest.mark.parametrize("framing", FRAMINGS)
@given(st.lists(st.binary(max_size=5000), max_size=6))
def test_any_bytes_are_frames_or_an_error_of_frames(framing: str, pieces: list[bytes]) -> None:
    reader = FrameReader(framing)  # type: ignore[arg-type]
    try:
        for piece in pieces:
            assert all(0 < len(frame) <= MAX_FRAME for frame in reader.feed(piece))
            assert reader.held < MAX_FRAME + 4
    except FrameError:
        pass


@pytest.mark.parametrize(
    ("framing", "head"),
    [
        ("abridged", b"\0"),
        ("abridged", b"\x7f\xff\xff\xff"),
        ("intermediate", bytes(4)),
        ("padded", b"\xff\xff\xff\xff"),
    ],
)
def test_a_length_beyond_reason_is_refused_at_once(framing: str, head: bytes) -> None:
    with pytest.raises(FrameError):
        FrameReader(framing).feed(head)  # type: ignore[arg-type]
