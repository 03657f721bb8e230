"""A proxy and a data centre as functions on bytes, written apart from the client they test."""

from __future__ import annotations

import hashlib
import hmac
import itertools
import struct
from collections.abc import Iterator

from Crypto.Cipher import AES
from Crypto.Util import Counter

KEY = bytes(range(16))
DOMAIN = "www.example.com"


def deterministic() -> Iterator[int]:
    """A source of chance that is none."""
    state = b"seed"
    while True:
        state = hashlib.sha256(state).digest()
        yield from state


class Chance:
    """Looks like os.urandom, and gives the same bytes each time."""

    def __init__(self) -> None:
        self._bytes = deterministic()

    def __call__(self, count: int) -> bytes:
        return bytes(itertools.islice(self._bytes, count))


def ctr(key: bytes, iv: bytes) -> AES:
    counter = Counter.new(128, initial_value=int.from_bytes(iv, "big"))
    return AES.new(key, AES.MODE_CTR, counter=counter)


class Proxy:
    """What is behind the flight: takes the init and a request, gives resPQ.

    Attributes:
        tag: the first byte of the framing's tag.
        dc: the data centre asked for.
        nonce: of the request.
    """

    def __init__(self, opening: bytes, key: bytes = KEY) -> None:
        forth = ctr(hashlib.sha256(opening[8:40] + key).digest(), opening[40:56])
        plain = forth.decrypt(opening)
        turned = opening[8:56][::-1]
        self.back = ctr(hashlib.sha256(turned[:32] + key).digest(), turned[32:])
        self.tag, self.dc = plain[56], int.from_bytes(plain[60:62], "little", signed=True)
        assert plain[56:60] == bytes([self.tag]) * 4
        frame = plain[64:]
        self.head = 1 if self.tag == 0xEF else 4
        if self.tag == 0xEF:
            assert frame[0] * 4 == len(frame) - 1
        else:
            assert int.from_bytes(frame[:4], "little") == len(frame) - 4
        self.padding = frame[self.head + 40 :]
        self.message = frame[self.head : self.head + 40]
        self.nonce = self.message[24:]

    def framed(self, payload: bytes, padding: bytes = b"") -> bytes:
        size = len(payload) + len(padding)
        head = bytes([size // 4]) if self.tag == 0xEF else struct.pack("<I", size)
        return self.back.encrypt(head + payload + padding)

    def answer(self, padding: bytes = b"") -> bytes:
        return self.framed(res_pq(self.nonce), padding)


def res_pq(nonce: bytes, keys: int = 2) -> bytes:
    """The answer as an unencrypted message."""
    body = struct.pack("<I16s16s", 0x05162463, nonce, b"\x77" * 16)
    body += b"\x08\x17\xed\x48\x94\x1a\x08\xf9\x81\0\0\0"
    body += struct.pack("<II", 0x1CB5C415, keys) + bytes(range(8)) * keys
    return struct.pack("<QQI", 0, 0x5E0B6B3000000001, len(body)) + body


def flight(
    hello: bytes, key: bytes = KEY, sizes: tuple[int, ...] = (1500,), signed: int | None = None
) -> bytes:
    """The server's flight: ServerHello, change of cipher, data records of these sizes.

    Args:
        hello: the client's record.
        key: the secret.
        sizes: of the data records.
        signed: how many of them the HMAC covers; all unless given.
    """
    chance = Chance()
    body = b"\x03\x03" + bytes(32) + b"\x20" + hello[44:76] + b"\x13\x01\x00\x00\x2e"
    body += b"\x00\x33\x00\x24\x00\x1d\x00\x20" + chance(32) + b"\x00\x2b\x00\x02\x03\x04"
    message = b"\x02" + len(body).to_bytes(3, "big") + body
    whole = b"\x16\x03\x03" + struct.pack(">H", len(message)) + message
    whole += b"\x14\x03\x03\x00\x01\x01"
    ends = []
    for size in sizes:
        whole += b"\x17\x03\x03" + struct.pack(">H", size) + chance(size)
        ends.append(len(whole))
    covered = whole[: ends[(signed or len(sizes)) - 1]]
    digest = hmac.new(key, hello[11:43] + covered, hashlib.sha256).digest()
    return whole[:11] + digest + whole[43:]


def unwrapped(records: bytes) -> bytes:
    """The payload of the client's records behind its change of cipher."""
    assert records[:6] == b"\x14\x03\x03\x00\x01\x01"
    records, data = records[6:], b""
    while records:
        assert records[:3] == b"\x17\x03\x03"
        size = int.from_bytes(records[3:5], "big")
        data, records = data + records[5 : 5 + size], records[5 + size :]
    return data


def wrapped(data: bytes, size: int = 16384) -> bytes:
    """Data as application records of a size."""
    parts = (data[i : i + size] for i in range(0, len(data), size))
    return b"".join(b"\x17\x03\x03" + struct.pack(">H", len(part)) + part for part in parts)
