"""TLS records, whole and in pieces."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stackctl.mtproto.records import (
    HEAD,
    MAX_RECORD,
    RecordError,
    RecordReader,
    application_records,
)

from .server import unwrapped


@given(st.binary(max_size=40000), st.integers(1, 20000))
def test_data_comes_out_as_it_went_in(data: bytes, step: int) -> None:
    stream = application_records(data)
    assert unwrapped(b"\x14\x03\x03\x00\x01\x01" + stream) == data
    reader, got = RecordReader(), b""
    for start in range(0, len(stream), step):
        reader.feed(stream[start : start + step])
        while record := reader.next():
            assert record.kind == 0x17
            got += record.payload
    assert got == data
    assert reader.rest == b""


@pytest.mark.parametrize(
    "start", [b"H", b"\x13", b"\x18", b"\x16\x02", b"\x17\x03\x05", b"\x17\x03\x03\xff\xff"]
)
def test_what_is_no_record_is_known_at_the_first_byte_that_shows_it(start: bytes) -> None:
    reader = RecordReader()
    reader.feed(start[:-1])
    assert reader.next() is None
    reader.feed(start[-1:])
    with pytest.raises(RecordError):
        reader.next()


@given(st.lists(st.binary(max_size=9000), max_size=8))
def test_any_bytes_are_records_or_an_error_of_records(pieces: list[bytes]) -> None:
    reader = RecordReader()
    try:
        for piece in pieces:
            reader.feed(piece)
            while record := reader.next():
                assert len(record.raw) <= HEAD + MAX_RECORD
            assert len(reader.rest) < HEAD + MAX_RECORD
    except RecordError:
        pass
