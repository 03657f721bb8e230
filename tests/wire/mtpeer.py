"""A Telegram client as far as a proxy can tell: fake TLS, the obfuscated transport, req_pq.

Written for the tests, from the protocol's description, and sharing nothing with what it tests.
"""

import hashlib
import hmac
import os
import socket
import struct
import time
from collections.abc import Callable
from dataclasses import dataclass

from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

TAGS = {"classic": b"\xee" * 4, "abridged": b"\xef" * 4, "secure": b"\xdd" * 4, "tls": b"\xdd" * 4}


def _ctr(key: bytes, iv: bytes):
    return Cipher(algorithms.AES(key), modes.CTR(iv)).encryptor()


@dataclass
class Opening:
    """64 bytes to send, and the two streams that go on after them."""

    init: bytes
    encrypt: Callable[[bytes], bytes]
    decrypt: Callable[[bytes], bytes]


def opening(secret: bytes | None, tag: bytes, dc: int = 2) -> Opening:
    """The first message; without a secret it is a data centre's, not a proxy's."""
    while True:
        raw = bytearray(os.urandom(64))
        if raw[0] != 0xEF and raw[:4] not in TAGS.values() and raw[4:8] != bytes(4):
            break
    raw[56:60] = tag
    raw[60:62] = struct.pack("<h", dc)
    material, back = bytes(raw[8:56]), bytes(raw[8:56][::-1])

    def key(half: bytes) -> bytes:
        return half[:32] if secret is None else hashlib.sha256(half[:32] + secret).digest()

    up, down = _ctr(key(material), material[32:]), _ctr(key(back), back[32:])
    encrypted = up.update(bytes(raw))
    return Opening(bytes(raw[:56]) + encrypted[56:], up.update, down.update)


def client_hello(
    secret: bytes, domain: str, now: float | None = None, *, share: int = 0x1D, alpn: bytes = b""
) -> bytes:
    """A signed ClientHello record for a domain; now is the client's clock."""
    name = domain.encode()

    def extension(kind: int, body: bytes) -> bytes:
        return struct.pack("!HH", kind, len(body)) + body

    key = os.urandom(32 if share == 0x1D else 1216)
    entry = struct.pack("!HH", share, len(key)) + key
    extensions = (
        (extension(0, struct.pack("!HBH", len(name) + 3, 0, len(name)) + name) if name else b"")
        + extension(0x2B, b"\x02\x03\x04")
        + extension(0x33, struct.pack("!H", len(entry)) + entry)
        + (extension(0x10, struct.pack("!HB", len(alpn) + 1, len(alpn)) + alpn) if alpn else b"")
    )
    body = (
        b"\x03\x03" + bytes(32) + b"\x20" + os.urandom(32)
        + b"\x00\x04\x13\x02\x13\x01" + b"\x01\x00"
        + struct.pack("!H", len(extensions)) + extensions
    )  # fmt: skip
    handshake = b"\x01" + struct.pack("!I", len(body))[1:] + body
    record = b"\x16\x03\x01" + struct.pack("!H", len(handshake)) + handshake
    digest = bytearray(hmac.digest(secret, record, "sha256"))
    stamp = struct.unpack("<I", digest[28:])[0] ^ int(time.time() if now is None else now)
    digest[28:] = struct.pack("<I", stamp & 0xFFFFFFFF)
    return record[:11] + bytes(digest) + record[43:]


class Peer:
    """A client on a connected socket; whatever came before (PROXY) was sent by the caller."""

    def __init__(self, sock: socket.socket, mode: str, secret: bytes, domain: str = "") -> None:
        self.sock, self.mode, self.secret, self.domain = sock, mode, secret, domain
        self.tag = TAGS[mode]
        self._plain = b""
        self.open: Opening | None = None

    def greet(self, hello: bytes | None = None) -> None:
        """Fake TLS only: the ClientHello, and the server's flight proven by its HMAC."""
        hello = hello or client_hello(self.secret, self.domain)
        self.sock.sendall(hello)
        self.check_flight(hello)

    def check_flight(self, hello: bytes) -> None:
        """Read ServerHello, ChangeCipherSpec and one application record."""
        flight = b""
        kinds = []
        for _ in range(3):
            head = self.exactly(5)
            kinds.append(head[0])
            flight += head + self.exactly(struct.unpack("!H", head[3:])[0])
        assert kinds == [0x16, 0x14, 0x17], kinds
        zeroed = flight[:11] + bytes(32) + flight[43:]
        wanted = hmac.digest(self.secret, hello[11:43] + zeroed, "sha256")
        assert flight[11:43] == wanted, "the flight is not signed with this secret"
        assert flight[43:76] == hello[43:76], "the session id is not the client's"

    def first_message(self, dc: int = 2) -> bytes:
        """The init as it goes over the wire, wrapped where it has to be."""
        self.open = opening(self.secret, self.tag, dc)
        if self.mode != "tls":
            return self.open.init
        return b"\x14\x03\x03\x00\x01\x01" + self._wrap(self.open.init)

    def start(self, dc: int = 2) -> "Peer":
        """The whole handshake up to where the proxy relays."""
        if self.mode == "tls":
            self.greet()
        self.sock.sendall(self.first_message(dc))
        return self

    def frame(self, payload: bytes) -> bytes:
        """A payload as it goes over the wire."""
        assert self.open is not None
        return self._wrap(self.open.encrypt(framed(self.tag, payload)))

    def send(self, payload: bytes) -> None:
        """Send one frame."""
        self.sock.sendall(self.frame(payload))

    def receive(self) -> bytes:
        """One frame's payload, padding included."""
        if self.tag == TAGS["abridged"]:
            words = self._read(1)[0]
            if words == 0x7F:
                words = int.from_bytes(self._read(3), "little")
            return self._read(4 * words)
        return self._read(struct.unpack("<I", self._read(4))[0])

    def req_pq(self) -> bytes:
        """Ask for resPQ and check that it answers this very question; returns its payload."""
        payload, nonce = req_pq()
        self.send(payload)
        answer = self.receive()
        check_res_pq(answer, nonce)
        return answer

    def ping(self, payload: bytes = b"") -> bytes:
        """A bare ping to the lab's data centre; returns what came back after its constructor."""
        self.send(bytes(8) + struct.pack("<I", 0x7ABE77EC) + payload)
        answer = self.receive()
        assert answer[:12] == bytes(8) + struct.pack("<I", 0x347773C5)
        return answer[12:]

    def exactly(self, count: int) -> bytes:
        """So many raw bytes. Raises EOFError where the connection ends before."""
        received = b""
        while len(received) < count:
            chunk = self.sock.recv(count - len(received))
            if not chunk:
                raise EOFError(f"{len(received)} of {count} bytes")
            received += chunk
        return received

    def _wrap(self, data: bytes) -> bytes:
        if self.mode != "tls":
            return data
        pieces = [data[at : at + 16384] for at in range(0, len(data), 16384)]
        return b"".join(b"\x17\x03\x03" + struct.pack("!H", len(p)) + p for p in pieces)

    def _read(self, count: int) -> bytes:
        assert self.open is not None
        while len(self._plain) < count:
            if self.mode == "tls":
                head = self.exactly(5)
                assert head[:3] == b"\x17\x03\x03", head
                data = self.exactly(struct.unpack("!H", head[3:])[0])
            else:
                data = self.exactly(count - len(self._plain))
            self._plain += self.open.decrypt(data)
        taken, self._plain = self._plain[:count], self._plain[count:]
        return taken


def framed(tag: bytes, payload: bytes) -> bytes:
    """A payload in the framing of a tag."""
    if tag == TAGS["abridged"]:
        words = len(payload) // 4
        return (bytes([words]) if words < 127 else b"\x7f" + words.to_bytes(3, "little")) + payload
    if tag == TAGS["secure"]:
        payload += os.urandom(1 + os.urandom(1)[0] % 3)
    return struct.pack("<I", len(payload)) + payload


def req_pq() -> tuple[bytes, bytes]:
    """An unencrypted req_pq_multi, and its nonce."""
    nonce = os.urandom(16)
    body = struct.pack("<I", 0xBE7E8EF1) + nonce
    return struct.pack("<qqI", 0, int(time.time() * 2**32) & ~3, len(body)) + body, nonce


def check_res_pq(answer: bytes, nonce: bytes) -> None:
    """Assert that a payload is resPQ with this nonce."""
    assert answer[:8] == bytes(8), answer
    assert answer[20:24] == struct.pack("<I", 0x05162463), answer
    assert answer[24:40] == nonce
