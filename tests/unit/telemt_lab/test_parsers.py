"""Every parser that takes a stranger's bytes: any bytes, any pieces, and little is kept."""

import itertools
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lab_dc.framing import (
    ABRIDGED,
    INTERMEDIATE,
    LONGEST_FRAME,
    PADDED,
    Deframer,
    FrameError,
    frame,
)
from mtpeer import TAGS, client_hello, opening
from telemt_lab.authentication import Authenticator, ReplayCache, Throttle
from telemt_lab.client_hello import X25519, X25519MLKEM768, read_hello
from telemt_lab.config import Access, Censorship, Mask, Modes, UserEntry
from telemt_lab.handshake import Handshake
from telemt_lab.obfuscation import INIT_BYTES, read_init
from telemt_lab.proxy_protocol import LONGEST_HEADER, InvalidHeaderError, parse
from telemt_lab.records import LONGEST_PLAIN, RecordError, Records, header, record, wrap
from telemt_lab.users import Users
from telemt_lab.verdicts import Accepted, Fallback, Flight, Refused

SECRET = bytes.fromhex("00112233445566778899aabbccddeeff")
DOMAIN = "www.example.com"
MASK = Mask(False, None, 443, True, None, True, 0, 1, 1)
QUICK = settings(max_examples=150)


def authenticator(*, plain: bool = True) -> Authenticator:
    access = Access(
        (UserEntry("alice", SECRET, True, 0, 0, None),), "active_window", 30, 100, 120, False
    )
    censorship = Censorship((DOMAIN,), "drop", True, 2048, 0, (0, 0), MASK)
    return Authenticator(Modes(plain, plain, True), access, censorship, Users(access))


def pieces(data: bytes, cuts: list[int]) -> list[bytes]:
    """The data cut at these places, those beyond its end aside."""
    places = [0, *sorted({cut for cut in cuts if cut < len(data)}), len(data)]
    return [data[a:b] for a, b in itertools.pairwise(places)]


CUTS = st.lists(st.integers(0, 700), max_size=12)
STARTS = st.sampled_from(
    [b"", b"\x16\x03\x01", b"\x16\x03\x03\x00\xc8\x01", b"GET ", b"PROXY TCP4 ", b"\xef", b"SSH-"]
)


@QUICK
@given(STARTS, st.binary(max_size=700), CUTS, st.booleans())
def test_a_handshake_of_any_bytes_comes_to_a_verdict_or_waits(start, tail, cuts, plain) -> None:
    handshake = Handshake(authenticator(plain=plain), "192.0.2.7")
    verdict, given_so_far = None, 0
    for piece in pieces(start + tail, cuts):
        verdict = handshake.feed(piece)
        given_so_far += len(piece)
        if verdict is not None:
            break
    if verdict is None:
        verdict = handshake.end()
        assert verdict is not None or given_so_far == 0
    if isinstance(verdict, Fallback):
        # Everything is passed on, and nothing but that.
        assert verdict.seen == (start + tail)[:given_so_far]


@QUICK
@given(st.sampled_from(["secure", "classic", "abridged", "tls"]), CUTS, st.binary(max_size=90))
def test_a_good_handshake_is_one_however_it_is_cut(mode, cuts, rest) -> None:
    one = authenticator()
    start = opening(SECRET, TAGS[mode], 4)
    stream = start.init + rest
    if mode == "tls":
        stream = client_hello(SECRET, DOMAIN) + record(0x14, b"\x01") + record(0x17, stream)
    handshake = Handshake(one, "192.0.2.7")
    kept = b""
    verdict = None
    for piece in pieces(stream, cuts):
        if isinstance(verdict, Accepted):
            kept += piece
            continue
        verdict = handshake.feed(piece)
        if isinstance(verdict, Flight):
            verdict = handshake.feed(b"")
    assert isinstance(verdict, Accepted)
    assert (verdict.user.entry.name, verdict.init.dc) == ("alice", 4)
    kept = verdict.rest + kept
    payload = kept if verdict.records is None else bytes(verdict.records.feed(kept))
    assert payload == rest


@QUICK
@given(st.binary(max_size=1200), st.integers(0, 600), st.binary(min_size=1, max_size=8))
def test_a_hello_of_any_bytes_is_read_or_not(noise, at, change) -> None:
    read_hello(noise)
    good = client_hello(SECRET, DOMAIN)
    broken = good[:at] + change + good[at + len(change) :]
    read_hello(broken)
    read_hello(broken[:at])


@pytest.mark.parametrize(("share", "group"), [(0x1D, X25519), (0x11EC, X25519MLKEM768)])
def test_a_hello_is_read(share: int, group: int) -> None:
    hello = client_hello(SECRET, "WWW.Example.com", share=share, alpn=b"h2")
    read = read_hello(hello)
    assert (read.name, read.alpn, read.suite, read.group) == (DOMAIN, (b"h2",), b"\x13\x01", group)
    assert read.session_id == hello[44:76]


@pytest.mark.parametrize("name", ["10.0.0.1", "-a.example", "a..b", ".a", "a" * 64, "x_y.example"])
def test_a_name_telemt_would_not_take_is_none(name: str) -> None:
    assert read_hello(client_hello(SECRET, name)).name is None


@QUICK
@given(st.lists(st.binary(max_size=300), max_size=6), CUTS)
def test_records_give_back_what_was_wrapped_however_they_are_cut(payloads, cuts) -> None:
    records = Records()
    stream = b"".join(wrap(payload) for payload in payloads if payload)
    found = b"".join(bytes(records.feed(piece)) for piece in pieces(stream, cuts))
    assert found == b"".join(payloads)
    assert (records.inside, records.ended, records.broken) == (False, False, False)


@QUICK
@given(st.binary(max_size=400), CUTS)
def test_records_of_any_bytes_end_or_go_on_and_keep_one_header(noise, cuts) -> None:
    one, whole = Records(), Records()
    found = b"".join(bytes(one.feed(memoryview(piece))) for piece in pieces(noise, cuts))
    assert found == bytes(whole.feed(noise))
    assert (one.broken, one.ended) == (whole.broken, whole.ended)
    assert len(found) <= len(noise)
    if len(noise) >= 5 and one.broken and not found:
        assert one.feed(record(0x17, b"more")) == b""


def test_a_large_payload_is_wrapped_in_records_a_client_takes() -> None:
    wrapped = wrap(bytes(3 * LONGEST_PLAIN + 1))
    assert len(wrapped) == 3 * LONGEST_PLAIN + 1 + 4 * 5


@pytest.mark.parametrize(
    "head",
    [
        "1603030010",
        "1703010010",
        "1703034200",
        "1703030000",
        "1403030002",
        "1503030001",
        "ff03030001",
    ],
)
def test_headers_telemt_refuses(head: str) -> None:
    with pytest.raises(RecordError):
        header(bytes.fromhex(head))


@QUICK
@given(st.binary(min_size=INIT_BYTES, max_size=INIT_BYTES))
def test_a_first_message_of_any_bytes_is_nobody_s(init) -> None:
    assert read_init(init, SECRET, frozenset({TAGS["secure"]})) is None


@QUICK
@given(STARTS, st.binary(max_size=300), CUTS)
def test_a_proxy_header_of_any_bytes(start, tail, cuts) -> None:
    received = bytearray()
    for piece in pieces(start + tail, cuts):
        received += piece
        try:
            found = parse(received)
        except InvalidHeaderError:
            return
        if found is not None:
            assert found.length <= LONGEST_HEADER
            return
        assert len(received) <= LONGEST_HEADER


@QUICK
@given(
    st.sampled_from([ABRIDGED, INTERMEDIATE, PADDED]),
    st.lists(st.integers(1, 300), max_size=6),
    st.lists(st.integers(0, 3000), max_size=10),
)
def test_frames_come_back_however_they_are_cut(tag, sizes, cuts) -> None:
    payloads = [bytes([size % 256]) * 4 * size for size in sizes]
    stream = b"".join(frame(tag, payload) for payload in payloads)
    deframer = Deframer(tag)
    found = [payload for piece in pieces(stream, cuts) for payload in deframer.feed(piece)]
    assert [payload[: len(sent)] for payload, sent in zip(found, payloads, strict=True)] == payloads


@QUICK
@given(st.sampled_from([ABRIDGED, INTERMEDIATE, PADDED]), st.binary(max_size=600), CUTS)
def test_frames_of_any_bytes(tag, noise, cuts) -> None:
    deframer = Deframer(tag)
    try:
        found = [payload for piece in pieces(noise, cuts) for payload in deframer.feed(piece)]
    except FrameError:
        return
    assert all(4 <= len(payload) <= LONGEST_FRAME for payload in found)
    assert sum(map(len, found)) <= len(noise)


def test_the_replay_cache_is_bounded_in_entries_and_age(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [100.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    cache = ReplayCache(2, 60)
    for key in (b"a", b"b", b"c"):
        cache.add(key)
    assert [key in cache for key in (b"a", b"b", b"c")] == [False, True, True]
    now[0] += 40
    cache.add(b"b")
    now[0] += 30
    assert b"b" not in cache
    none = ReplayCache(10, 0)
    none.add(b"a")
    assert b"a" not in none


def test_the_throttle_is_telemts(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [100.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    throttle = Throttle()
    for _ in range(3):
        throttle.failed("2001:db8::1")
    assert not throttle.blocked("2001:db8::1")
    throttle.failed("2001:db8::2")
    assert throttle.blocked("2001:db8::ffff")
    assert not throttle.blocked("2001:db8:0:1::1")
    now[0] += 0.026
    assert not throttle.blocked("2001:db8::1")
    for _ in range(40):
        throttle.failed("192.0.2.1")
    now[0] += 0.99
    assert throttle.blocked("192.0.2.1")
    throttle.succeeded("192.0.2.1")
    assert not throttle.blocked("192.0.2.1")


def test_a_client_may_send_nothing_but_change_cipher_spec() -> None:
    handshake = Handshake(authenticator(), "192.0.2.7")
    assert isinstance(handshake.feed(client_hello(SECRET, DOMAIN)), Flight)
    for _ in range(100):
        assert handshake.feed(b"\x14\x03\x03\x00\x01\x01" * 1000) is None
        assert not handshake._received
    assert isinstance(handshake.end(), Refused)
