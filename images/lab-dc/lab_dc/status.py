"""The status page: GET / as JSON, GET /healthz."""

import asyncio
import contextlib
import json

from .counts import Counts

_HEAD_BYTES = 8 * 1024
_TIMEOUT_S = 10.0


class Status:
    """Answers one request a connection."""

    def __init__(self, counts: Counts) -> None:
        self._counts = counts

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Read a request's head, answer, close."""
        # A peer that is gone, slow or not speaking HTTP is no event.
        with contextlib.suppress(OSError, TimeoutError, EOFError, asyncio.LimitOverrunError):
            async with asyncio.timeout(_TIMEOUT_S):
                head = await reader.readuntil(b"\r\n\r\n")
                writer.write(self.answer(head))
                await writer.drain()
        writer.close()

    def answer(self, head: bytes) -> bytes:
        """Return the whole HTTP answer to a request's head."""
        words = head.split(maxsplit=2)
        path = words[1].partition(b"?")[0] if len(words) > 1 else b""
        status, body = "404 Not Found", "{}"
        if path == b"/":
            status, body = "200 OK", json.dumps(self._counts.as_dict())
        elif path == b"/healthz":
            status, body = "200 OK", '{"ok": true}'
        return (
            f"HTTP/1.1 {status}\r\nContent-Type: application/json\r\n"
            f"Content-Length: {len(body)}\r\nConnection: close\r\n\r\n{body}"
        ).encode()
