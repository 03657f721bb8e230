"""One JSON line for each event, to a file descriptor that must never block the loop."""

import asyncio
import json
import os
import stat
from collections.abc import Mapping

_FLUSH_BYTES = 64 * 1024
# If the log's reader stops reading, lines are lost, but neither memory nor traffic.
_KEPT_BYTES = 4 * 1024 * 1024


class EventLog:
    """Lines, written every flush_s seconds or when there are 64 KiB of them."""

    def __init__(self, loop: asyncio.AbstractEventLoop, fd: int, flush_s: float = 0.1) -> None:
        self._loop = loop
        self._flush_s = flush_s
        self._fd = fd
        self._lines: list[str] = []
        self._unwritten = b""
        self._size = 0
        self._dropped = 0
        self._timer: asyncio.TimerHandle | None = None
        # Only for a pipe, whose flags are this process's own. A terminal shares its flags with the
        # operator's shell.
        if stat.S_ISFIFO(os.fstat(fd).st_mode):
            os.set_blocking(fd, False)

    def client(self, client: str, peer: str, via: str) -> None:
        """Log an accepted client; client and peer are ADDRESS:PORT, via the way it came."""
        # Without json: none of the three can contain a character that needs escaping.
        self._put(f'{{"event":"client","client":"{client}","peer":"{peer}","via":"{via}"}}\n')

    def handshake(self, client: str, user: str, mode: str, dc: int) -> None:
        """Log a handshake that is done; client is ADDRESS:PORT, user a JSON string."""
        self._put(
            f'{{"event":"handshake","client":"{client}","user":{user},"mode":"{mode}","dc":{dc}}}\n'
        )

    def event(self, name: str, fields: Mapping[str, object]) -> None:
        """Log any other event; the fields must never hold a secret."""
        self._put(json.dumps({"event": name, **fields}, separators=(",", ":")) + "\n")

    def flush(self) -> None:
        """Write as much as the reader takes now; the rest waits for the next time."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._dropped and self._size < _KEPT_BYTES // 2:
            dropped, self._dropped = self._dropped, 0
            self.event("log_dropped", {"lines": dropped})
        waiting = self._unwritten + "".join(self._lines).encode()
        self._lines.clear()
        try:
            written = os.write(self._fd, waiting) if waiting else 0
        except BlockingIOError:
            written = 0
        except OSError:
            # The pipe is closed: the double continues without a log.
            written = len(waiting)
        self._unwritten = waiting[written:]
        self._size = len(self._unwritten)
        if self._size:
            self._schedule()

    def _put(self, line: str) -> None:
        if self._size >= _KEPT_BYTES:
            self._dropped += 1
            return
        self._lines.append(line)
        self._size += len(line)
        if self._size >= _FLUSH_BYTES and not self._unwritten:
            self.flush()
        else:
            self._schedule()

    def _schedule(self) -> None:
        if self._timer is None:
            self._timer = self._loop.call_later(self._flush_s, self.flush)
