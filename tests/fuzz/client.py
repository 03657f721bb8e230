"""Coverage-guided fuzzing of what the client of MTProto receives and is given, with atheris.

    python tests/fuzz/client.py NAME [SECONDS]

runs one of them; without a name it lists them. An exception other than the parser's own is a
finding, so is a buffer beyond its bound, and so is an input that takes more than 5 s.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import atheris

ROOT = Path(__file__).parents[2]
sys.path[:0] = [str(ROOT / "src"), str(ROOT / "tests" / "unit" / "mtproto")]

with atheris.instrument_imports(include=["stackctl.mtproto"]):
    from stackctl.mtproto import LinkError, Secret, parse_link
    from stackctl.mtproto.firstrequest import AnswerError, parse_res_pq
    from stackctl.mtproto.flight import MAX_FLIGHT, Flight
    from stackctl.mtproto.frames import MAX_FRAME, FrameError, FrameReader
    from stackctl.mtproto.handshake import MAX_ANSWER, Handshake
    from stackctl.mtproto.stranger import describe
    from stackctl.mtproto.tls13 import certificate_names, parse_server_hello

from server import DOMAIN, KEY, Chance, flight  # noqa: E402 (found by the path above)

TLS = Secret("tls", KEY, DOMAIN)


def _pieces(data: bytes) -> list[bytes]:
    """The first byte says how the rest is cut."""
    size, rest = (data[0] or len(data), data[1:]) if data else (1, b"")
    return [rest[at : at + size] for at in range(0, len(rest), size)]


def _handshake(secret: Secret = TLS) -> Handshake:
    return Handshake(secret, dc=2, framing="padded", unix_time=1.7e9, random=Chance())


HELLO = _handshake().start(0.0)
FLIGHT = flight(HELLO, sizes=(100,))


def first(data: bytes) -> None:
    """A server's first bytes, in each mode; the first 127 may be a good flight's."""
    good = FLIGHT[: data[0]] if data and data[0] < 128 else b""
    for secret in (TLS, Secret("secure", KEY)):
        one = _handshake(secret)
        one.start(0.0)
        for piece in (good, *_pieces(data[1:])):
            assert not one.received(piece, 0.1)
        one.ended("closed", "it ended", 0.2)
        assert one.result is not None
        assert one.result.failure is not None
        assert KEY.hex() not in one.result.failure.detail


def behind(data: bytes) -> None:
    """Bytes after a good flight."""
    one = _handshake()
    one.start(0.0)
    assert one.received(FLIGHT, 0.1)
    for piece in _pieces(data):
        one.received(piece, 0.1)
        assert one._received <= MAX_ANSWER + 2**16
    one.ended("closed", "it ended", 0.2)
    assert one.result is not None
    assert one.result.failure is not None, "nobody knows the nonce"


def server_flight(data: bytes) -> None:
    """The flight by itself, its head good, its records not."""
    one = Flight(_handshake()._hello, KEY)  # type: ignore[arg-type]
    one.feed(FLIGHT[:133])
    for piece in _pieces(data):
        one.feed(piece)
        assert len(one._records.rest) <= 2**14 + 300 + len(piece)
    assert not one.verified or FLIGHT[133:] in data
    assert one.stranger()
    assert one.received <= MAX_FLIGHT + len(data)


def frames(data: bytes) -> None:
    """Frames of each framing."""
    for framing in ("abridged", "intermediate", "padded"):
        reader = FrameReader(framing)
        with suppress(FrameError):
            for piece in _pieces(data):
                assert all(len(frame) <= MAX_FRAME for frame in reader.feed(piece))
                assert reader.held < MAX_FRAME + 4


def answer(data: bytes) -> None:
    """A frame as resPQ."""
    with suppress(AnswerError):
        parse_res_pq(data, data[24:40])


def link(data: bytes) -> None:
    """Links, and secrets in a link."""
    text = data.decode("utf-8", "replace")
    for whole in (text, f"tg://proxy?server=a&port=1&secret={text}"):
        with suppress(LinkError):
            parse_link(whole)


def words(data: bytes) -> None:
    """The description of a server that does not speak MTProto."""
    assert describe(data)
    parse_server_hello(data)
    certificate_names(data)


TARGETS: dict[str, Callable[[bytes], None]] = {
    f.__name__: f for f in (first, behind, server_flight, frames, answer, link, words)
}


def main() -> None:
    """Run one."""
    if len(sys.argv) < 2 or sys.argv[1] not in TARGETS:
        print("\n".join(TARGETS))
        sys.exit(2 if len(sys.argv) > 1 else 0)
    seconds = sys.argv[2] if len(sys.argv) > 2 else "10"
    limits = [f"-max_total_time={seconds}", "-timeout=5", "-rss_limit_mb=1024", "-max_len=8192"]
    atheris.Setup([sys.argv[0], *limits], TARGETS[sys.argv[1]])
    atheris.Fuzz()


if __name__ == "__main__":
    main()
