"""Coverage-guided fuzzing of every parser that takes a stranger's bytes, with atheris.

    python tests/fuzz/server.py NAME [SECONDS]

runs one of them; without a name it lists them. A finding ends the process with its trace, and the
input that led there is written to the working directory. An exception other than the parser's own
is a finding, so is a buffer beyond its bound, and so is an input that takes more than 5 s.
"""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Callable
from pathlib import Path

import atheris

ROOT = Path(__file__).parents[2]
for _folder in ("images/telemt-lab", "images/lab-dc", "tests/wire"):
    sys.path.insert(0, str(ROOT / _folder))

with atheris.instrument_imports(include=["telemt_lab", "lab_dc"]):
    from lab_dc.answers import answer
    from lab_dc.framing import ABRIDGED, INTERMEDIATE, LONGEST_FRAME, PADDED, Deframer, FrameError
    from lab_dc.session import InitError, Opened
    from telemt_lab.authentication import Authenticator
    from telemt_lab.client_hello import read_hello
    from telemt_lab.config import Access, Censorship, Mask, Modes, UserEntry
    from telemt_lab.handshake import Handshake
    from telemt_lab.proxy_protocol import LONGEST_HEADER, InvalidHeaderError, parse
    from telemt_lab.records import Records
    from telemt_lab.users import Users
    from telemt_lab.verdicts import Accepted, Flight

from mtpeer import client_hello, opening  # noqa: E402 - on the path only now

SECRET = bytes(range(16))
DOMAIN = "www.example.com"
_MASK = Mask(False, None, 443, True, None, True, 0, 1, 1)
_ENTRY = UserEntry("alice", SECRET, True, 0, 0, None)
_ACCESS = Access((_ENTRY,), "active_window", 30, 64, 0, True)
_CENSORSHIP = Censorship((DOMAIN,), "accept", False, 64, 0, (0, 0), _MASK)
# One record and a message that is not whole: all that a handshake may hold while it waits.
_MOST_KEPT = 5 + 16_384 + 256 + 64


def _pieces(data: bytes) -> list[bytes]:
    """The first byte says how the rest is cut."""
    if not data:
        return []
    size, rest = data[0] or len(data), data[1:]
    return [rest[at : at + size] for at in range(0, len(rest), size)]


def proxy(data: bytes) -> None:
    """PROXY v1 and v2."""
    received = bytearray()
    for piece in _pieces(data):
        received += piece
        try:
            if parse(received) is not None:
                return
        except InvalidHeaderError:
            return
        assert len(received) <= LONGEST_HEADER, len(received)


def _held(one: Handshake) -> int:
    return len(one._received) + len(one._payload)


def handshake(data: bytes) -> None:
    """The first bytes of a client: init, ClientHello, records."""
    authenticator = Authenticator(Modes(True, True, True), _ACCESS, _CENSORSHIP, Users(_ACCESS))
    one = Handshake(authenticator, "192.0.2.7")
    for piece in _pieces(data):
        verdict = one.feed(piece)
        if verdict is None:
            assert _held(one) <= _MOST_KEPT, _held(one)
        elif not isinstance(verdict, Flight):
            return
    one.end()


def inside_tls(data: bytes) -> None:
    """What comes after a good ClientHello."""
    authenticator = Authenticator(Modes(True, True, True), _ACCESS, _CENSORSHIP, Users(_ACCESS))
    one = Handshake(authenticator, "192.0.2.7")
    assert isinstance(one.feed(client_hello(SECRET, DOMAIN)), Flight)
    for piece in _pieces(data):
        verdict = one.feed(piece)
        if verdict is None:
            assert _held(one) <= _MOST_KEPT, _held(one)
        else:
            assert not isinstance(verdict, Accepted), "nobody knows the secret"
            return
    one.end()


def hello(data: bytes) -> None:
    """A ClientHello record."""
    read_hello(data)


def records(data: bytes) -> None:
    """TLS records of a session, in pieces and at once."""
    one, whole = Records(), Records()
    found = b"".join(bytes(one.feed(piece)) for piece in _pieces(data))
    assert found == bytes(whole.feed(data[1:]))


def frames(data: bytes) -> None:
    """Telegram's framings at the data centre, and its answers."""
    if not data:
        return
    deframer = Deframer([ABRIDGED, INTERMEDIATE, PADDED][data[0] % 3])
    try:
        for piece in _pieces(data[1:]):
            for payload in deframer.feed(piece):
                assert len(payload) <= LONGEST_FRAME
                assert len(answer(payload, 1.0)) <= len(payload) + 128
    except FrameError:
        pass


def init(data: bytes) -> None:
    """The data centre's first 64 bytes."""
    with contextlib.suppress(InitError):
        Opened((data + bytes(64))[:64])


TARGETS: dict[str, Callable[[bytes], None]] = {
    target.__name__: target
    for target in (proxy, handshake, inside_tls, hello, records, frames, init)
}
SEEDS = {
    "proxy": [
        b"\x00PROXY TCP4 1.2.3.4 5.6.7.8 1 2\r\n",
        b"\x03\r\n\r\n\x00\r\nQUIT\n\x21\x11\x00\x0c" + bytes(12),
    ],
    "handshake": [
        b"\x40" + client_hello(SECRET, DOMAIN),
        b"\x00" + opening(SECRET, b"\xdd" * 4).init,
    ],
    "inside_tls": [b"\x00\x14\x03\x03\x00\x01\x01\x17\x03\x03\x00\x40" + bytes(64)],
    "hello": [client_hello(SECRET, DOMAIN), client_hello(SECRET, "a", share=0x11EC, alpn=b"h2")],
    "records": [
        b"\x03\x17\x03\x03\x00\x04abcd\x14\x03\x03\x00\x01\x01\x15\x03\x03\x00\x02\x01\x00"
    ],
    "frames": [b"\x01\x05\x08\x00\x00\x00" + bytes(8), b"\x00\x02\x02" + bytes(8)],
    "init": [opening(None, b"\xef" * 4).init],
}


def main(argv: list[str]) -> int:
    """Fuzz one parser for so many seconds."""
    if not argv or argv[0] not in TARGETS:
        print("\n".join(TARGETS))
        return 0 if not argv else 2
    name, seconds = argv[0], int(argv[1]) if len(argv) > 1 else 10
    target = TARGETS[name]
    for seed in SEEDS[name]:
        target(seed)
    corpus = Path(argv[2]) if len(argv) > 2 else None
    folders = []
    if corpus is not None:
        corpus.mkdir(parents=True, exist_ok=True)
        for number, seed in enumerate(SEEDS[name]):
            (corpus / f"seed{number}").write_bytes(seed)
        folders = [str(corpus)]
    options = [f"-max_total_time={seconds}", "-timeout=5", "-rss_limit_mb=1024", "-max_len=4096"]
    atheris.Setup([sys.argv[0], *options, *folders], target)
    atheris.Fuzz()
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
