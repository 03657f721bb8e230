import ipaddress
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from telemt_lab.proxy_protocol import (
    LONGEST_HEADER,
    V1_SIGNATURE,
    V2_SIGNATURE,
    Header,
    InvalidHeaderError,
    parse,
)

ports = st.integers(0, 65535)
v4 = st.ip_addresses(v=4)
v6 = st.ip_addresses(v=6)


def v2(command: int, family: int, payload: bytes, version: int = 2) -> bytes:
    head = struct.pack("!BBH", version << 4 | command, family << 4 | 1, len(payload))
    return V2_SIGNATURE + head + payload


@st.composite
def headers(draw: st.DrawFn) -> tuple[bytes, Header]:
    """A valid header with what it must be parsed to."""
    addresses = draw(st.sampled_from([v4, v6]))
    source, target = draw(addresses), draw(addresses)
    source_port, target_port = draw(ports), draw(ports)
    kind = draw(st.sampled_from(["v1", "v1 unknown", "v2", "v2 local", "v2 unspecified"]))
    family = 1 if source.version == 4 else 2
    packed = source.packed + target.packed + struct.pack("!HH", source_port, target_port)
    tlvs = draw(st.binary(max_size=216 - len(packed)))
    if kind == "v1":
        name = "TCP4" if source.version == 4 else "TCP6"
        raw = f"PROXY {name} {source} {target} {source_port} {target_port}\r\n".encode()
    elif kind == "v1 unknown":
        raw = draw(st.sampled_from([b"PROXY UNKNOWN\r\n", b"PROXY UNKNOWN ::1 ::1 1 2\r\n"]))
    elif kind == "v2":
        raw = v2(1, family, packed + tlvs)
    elif kind == "v2 local":
        raw = v2(0, draw(st.integers(0, 15)), tlvs)
    else:
        raw = v2(1, 0, tlvs)
    known = (str(source), source_port) if kind in ("v1", "v2") else None
    return raw, Header(1 if kind.startswith("v1") else 2, known, len(raw))


@given(headers(), st.binary(max_size=40))
def test_a_header_chopped_anywhere_is_incomplete_until_its_last_byte(
    case: tuple[bytes, Header], after: bytes
) -> None:
    raw, wanted = case
    assert len(raw) <= LONGEST_HEADER
    for end in range(len(raw)):
        assert parse(raw[:end]) is None
    assert parse(raw) == wanted
    assert parse(bytearray(raw + after)) == wanted


@given(
    st.one_of(
        st.binary(max_size=400),
        st.builds(V1_SIGNATURE.__add__, st.binary(max_size=400)),
        st.builds(V2_SIGNATURE.__add__, st.binary(max_size=400)),
    )
)
def test_any_bytes_are_judged_within_the_longest_header_and_the_judgement_stays(
    garbage: bytes,
) -> None:
    judgements = []
    for end in range(len(garbage) + 1):
        try:
            judgement: object = parse(garbage[:end])
        except InvalidHeaderError:
            judgement = "invalid"
        judgements.append(judgement)
    final = [judgement for judgement in judgements if judgement is not None]
    assert len(set(final)) <= 1
    assert judgements[: len(judgements) - len(final)] == [None] * (len(judgements) - len(final))
    if len(garbage) >= LONGEST_HEADER:
        assert final


@pytest.mark.parametrize(
    "raw",
    [
        b"GET / HTTP/1.1\r\n\r\n",
        b"PROXY TCP4 1.2.3.4 5.6.7.8 1\r\n",
        b"PROXY TCP4 1.2.3.400 5.6.7.8 1 2\r\n",
        b"PROXY TCP4 1.2.3.4 nowhere 1 2\r\n",
        b"PROXY TCP4 1.2.3.4 5.6.7.8 65536 2\r\n",
        b"PROXY TCP4 1.2.3.4 5.6.7.8 1_0 2\r\n",
        b"PROXY TCP6 fe80::1%lo ::1 1 2\r\n",
        b"PROXY UDP4 1.2.3.4 5.6.7.8 1 2\r\n",
        b"PROXY \r\n",
        b"PROXY \xff\xfe\r\n",
        b"PROXY UNKNOWN " + b"x" * 300,
        v2(1, 1, b"short"),
        v2(1, 2, bytes(35)),
        v2(1, 3, bytes(216)),
        v2(2, 1, bytes(12)),
        v2(1, 1, bytes(12), version=1),
        v2(1, 1, bytes(217))[:16],
    ],
)
def test_invalid(raw: bytes) -> None:
    with pytest.raises(InvalidHeaderError):
        parse(raw)


def test_v1_at_its_longest() -> None:
    line = b"PROXY UNKNOWN ".ljust(255, b"x") + b"\r\n"
    assert parse(line) == Header(1, None, 257)
    with pytest.raises(InvalidHeaderError):
        parse(b"PROXY UNKNOWN ".ljust(256, b"x") + b"\r\n")


def test_v2_at_its_longest() -> None:
    address = ipaddress.ip_address("192.0.2.7").packed
    payload = (address + bytes(4) + struct.pack("!HH", 40000, 443)).ljust(216, b"\0")
    assert parse(v2(1, 1, payload)) == Header(2, ("192.0.2.7", 40000), 232)
