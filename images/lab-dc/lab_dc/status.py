"""The data centre's counters, and its status page: GET / as JSON, GET /healthz."""

import asyncio
import contextlib
import json
from collections import Counter, deque

_RECENT = 64


class Counts:
    """Sessions now and in all, answers, sessions by data centre; the latest sessions in full."""

    def __init__(self) -> None:
        self.sessions = 0
        self.total = 0
        self.answered = 0
        self.by_dc: Counter[int] = Counter()
        self.recent: deque[dict[str, object]] = deque(maxlen=_RECENT)

    def began(self, dc: int, framing: str, peer: str) -> None:
        """Count a session whose first 64 bytes were good."""
        self.sessions += 1
        self.total += 1
        self.by_dc[dc] += 1
        self.recent.append({"dc": dc, "framing": framing, "peer": peer})

    def as_dict(self) -> dict[str, object]:
        """Return the content of the status page; recent has the latest session last."""
        return {
            "sessions": self.sessions,
            "total": self.total,
            "answered": self.answered,
            "by_dc": {str(dc): count for dc, count in sorted(self.by_dc.items())},
            "recent": list(self.recent),
        }


_HEAD_BYTES = 8 * 1024
_TIMEOUT_S = 10.0


class Status:
    """Answers one request on each connection."""

    def __init__(self, counts: Counts) -> None:
        self._counts = counts

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Read a request's head, answer, close."""
        # A peer that is gone, slow or does not speak HTTP is not an error.
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
