"""The first request of a client that has no key yet, and its answer: req_pq_multi and resPQ."""

from __future__ import annotations

from dataclasses import dataclass

REQ_PQ_MULTI = 0xBE7E8EF1
RES_PQ = 0x05162463
VECTOR = 0x1CB5C415
NONCE_BYTES = 16
_HEADER = 20
"""Key id (8, zero: not encrypted), message id (8), length of the body (4)."""
_MAX_KEYS = 64


class AnswerError(ValueError):
    """A frame that is not the expected resPQ; the message says what it is."""


class DataCentreError(AnswerError):
    """The data centre answered with an error number of its transport, such as -404."""


@dataclass(frozen=True, slots=True)
class ResPq:
    """A data centre's answer: its own nonce, the product to factor, its keys' fingerprints."""

    server_nonce: bytes
    pq: int
    fingerprints: tuple[int, ...]


def req_pq_multi(nonce: bytes, unix_time: float) -> bytes:
    """The request as an unencrypted message.

    Args:
        nonce: 16 bytes that the answer has to repeat.
        unix_time: seconds; the message id is made from it.
    """
    message_id = int(unix_time * 2**32) & ~3
    body = REQ_PQ_MULTI.to_bytes(4, "little") + nonce
    return bytes(8) + message_id.to_bytes(8, "little") + len(body).to_bytes(4, "little") + body


def parse_res_pq(frame: bytes, nonce: bytes) -> ResPq:
    """The answer in a frame; padding after it is ignored.

    Raises:
        DataCentreError: the frame is an error number of four bytes.
        AnswerError: anything else that is not a resPQ with this nonce.
    """
    if len(frame) < _HEADER:
        # With padding, up to 15 bytes may follow the number.
        number = int.from_bytes(frame[:4], "little", signed=True)
        if len(frame) >= 4 and -1000 < number < 0:
            raise DataCentreError(f"the data centre answered with its error {number}")
        raise AnswerError(f"a frame of {len(frame)} bytes is too short for an answer")
    if any(frame[:8]):
        raise AnswerError("an encrypted message answered a request that had no key")
    length = int.from_bytes(frame[16:20], "little")
    body = frame[_HEADER : _HEADER + length]
    if len(body) != length:
        raise AnswerError(f"its body has {len(body)} bytes instead of {length}")
    constructor = int.from_bytes(body[:4], "little")
    if length < 4 or constructor != RES_PQ:
        raise AnswerError(f"constructor {constructor:#010x} instead of resPQ {RES_PQ:#010x}")
    if body[4:20] != nonce:
        raise AnswerError("a resPQ with another client's nonce")
    return _fields(body)


def _fields(body: bytes) -> ResPq:
    size = body[36] if len(body) > 36 else 0
    # A TL string: its length, its bytes, zeros up to a multiple of four.
    after = 36 + (1 + size + 3) // 4 * 4
    if not 1 <= size <= 16 or len(body) < after + 8:
        raise AnswerError("a resPQ that is cut short")
    vector = int.from_bytes(body[after : after + 4], "little")
    count = int.from_bytes(body[after + 4 : after + 8], "little")
    if vector != VECTOR or count > _MAX_KEYS or len(body) != after + 8 + 8 * count:
        raise AnswerError("a resPQ whose list of key fingerprints is malformed")
    keys = (body[i : i + 8] for i in range(after + 8, len(body), 8))
    return ResPq(
        server_nonce=body[20:36],
        pq=int.from_bytes(body[37 : 37 + size], "big"),
        fingerprints=tuple(int.from_bytes(key, "little") for key in keys),
    )
