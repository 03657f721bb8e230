"""What the data centre answers: resPQ to a first request, pong to a ping. Pure."""

import os
import struct

_REQ_PQ, _REQ_PQ_MULTI, _RES_PQ = 0x60469778, 0xBE7E8EF1, 0x05162463
_PING, _PONG = 0x7ABE77EC, 0x347773C5
_VECTOR = 0x1CB5C415
# Two primes that a client can find. The key belongs to nobody, so no client continues from here.
_PQ = (1_000_000_007 * 1_000_000_009).to_bytes(8, "big")
_FINGERPRINT = b"stackctl"
_HEADER = struct.Struct("<qqI")
# "No such key", which Telegram sends for anything that it cannot read.
_ERROR = struct.pack("<i", -404)


def answer(payload: bytes, now: float) -> bytes:
    """Return the answer to one frame's payload, whatever it holds.

    now is unix time. A bare ping, which a load sends, is eight zero bytes, the constructor and a
    ping_id. Its pong has the other constructor, the same ping_id and all bytes that followed.
    """
    if payload[:8] != bytes(8):
        return _ERROR
    if payload[8:12] == struct.pack("<I", _PING) and len(payload) >= 20:
        rest = payload[12:]
        return bytes(8) + struct.pack("<I", _PONG) + rest[: len(rest) // 4 * 4]
    if len(payload) < _HEADER.size + 4:
        return _ERROR
    _, message, length = _HEADER.unpack_from(payload)
    body = payload[_HEADER.size : _HEADER.size + length]
    if len(body) < length or length < 4:
        return _ERROR
    (constructor,) = struct.unpack_from("<I", body)
    if constructor in (_REQ_PQ, _REQ_PQ_MULTI) and length == 20:
        return _message(_res_pq(body[4:]), now)
    if constructor == _PING and length == 12:
        return _message(struct.pack("<Iq", _PONG, message) + body[4:], now)
    return _ERROR


def is_pq(payload: bytes) -> bool:
    """Say whether an answer is a resPQ."""
    return payload[_HEADER.size : _HEADER.size + 4] == struct.pack("<I", _RES_PQ)


def _res_pq(nonce: bytes) -> bytes:
    pq = bytes([len(_PQ)]) + _PQ + bytes(3)
    return (
        struct.pack("<I", _RES_PQ)
        + nonce
        + os.urandom(16)
        + pq
        + struct.pack("<II", _VECTOR, 1)
        + _FINGERPRINT
    )


def _message(body: bytes, now: float) -> bytes:
    # The message ids of a server's answers are 1 modulo 4.
    identifier = int(now * 2**32) // 4 * 4 + 1
    return _HEADER.pack(0, identifier, len(body)) + body
