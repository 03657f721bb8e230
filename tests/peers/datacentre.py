"""A stand-in for a data centre: the obfuscated transport without secret, and resPQ.

Written from the protocol's description with another library for AES than the client's, and shares
no line with it.
"""

from __future__ import annotations

import socket
import socketserver
import struct
from threading import Thread

from Crypto.Cipher import AES
from Crypto.Util import Counter

PQ = 0x17ED48941A08F981


class _Connection(socketserver.BaseRequestHandler):
    server: DataCentre

    def handle(self) -> None:
        self.request.settimeout(20)
        try:
            init = self._exactly(64)
            forth = _ctr(init[8:40], init[40:56])
            turned = init[8:56][::-1]
            back = _ctr(turned[:32], turned[32:])
            tag, dc = struct.unpack("<4sh", forth.decrypt(init)[56:62])
            self.server.seen.append((tag[:1].hex(), dc))
            while True:
                payload = self._frame(tag, forth)
                if not self.server.mute:
                    self.request.sendall(back.encrypt(_framed(tag, self._answer(payload))))
        except (OSError, EOFError):
            return

    def _exactly(self, count: int) -> bytes:
        data = b""
        while len(data) < count:
            more = self.request.recv(count - len(data))
            if not more:
                raise EOFError
            data += more
        return data

    def _frame(self, tag: bytes, forth: object) -> bytes:
        def read(count: int) -> bytes:
            return forth.decrypt(self._exactly(count))  # type: ignore[attr-defined,no-any-return]

        if tag == b"\xef" * 4:
            words = read(1)[0]
            return read(4 * (int.from_bytes(read(3), "little") if words == 0x7F else words))
        return read(int.from_bytes(read(4), "little"))

    def _answer(self, payload: bytes) -> bytes:
        key, _, length, request = struct.unpack_from("<QQII", payload)
        nonce = payload[24:40]
        if self.server.error:
            return struct.pack("<i", self.server.error)
        if key or length != 20 or request not in (0x60469778, 0xBE7E8EF1) or len(nonce) != 16:
            return struct.pack("<i", -404)
        body = struct.pack("<I16s16s", 0x05162463, nonce, bytes(range(16)))
        body += b"\x08" + PQ.to_bytes(8, "big") + bytes(3)
        body += struct.pack("<IIQ", 0x1CB5C415, 1, 0xC3B42B026CE86B21)
        return struct.pack("<QQI", 0, 0x51E57AC42770964A, len(body)) + body


class DataCentre(socketserver.ThreadingTCPServer):
    """Listens on a port of loopback until closed.

    Attributes:
        seen: (tag's first byte, data centre asked for) of each connection.
        mute: reads requests and answers none.
        error: answer with this number instead.
    """

    allow_reuse_address = True
    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Connection)
        self.seen: list[tuple[str, int]] = []
        self.mute = False
        self.error = 0
        Thread(target=self.serve_forever, daemon=True).start()

    @property
    def port(self) -> int:
        """Where it listens."""
        return int(self.server_address[1])

    def __exit__(self, *_: object) -> None:
        self.shutdown()
        self.server_close()


def _ctr(key: bytes, iv: bytes) -> AES:
    return AES.new(key, AES.MODE_CTR, counter=Counter.new(128, initial_value=int.from_bytes(iv)))


def _framed(tag: bytes, payload: bytes) -> bytes:
    if tag == b"\xef" * 4:
        return bytes([len(payload) // 4]) + payload
    padding = b"\x55" * 7 if tag == b"\xdd" * 4 else b""
    return struct.pack("<I", len(payload) + len(padding)) + payload + padding


def free_port() -> int:
    """A port of loopback that nobody has now."""
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return int(sock.getsockname()[1])
