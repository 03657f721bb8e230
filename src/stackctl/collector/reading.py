"""Single readings: `{"text": ...}`, `{"value": ...}` or `{"error": ...}`, never a default."""

from __future__ import annotations

import errno
import os
import time
from collections.abc import Callable
from typing import Any

Reading = dict[str, Any]

MAX_TEXT = 1 << 20
"""Bytes read of any file: nothing the probe is asked for is larger."""


def failure(problem: BaseException) -> Reading:
    """`{"error": "ENOENT: No such file or directory"}`, or the exception's own words."""
    if isinstance(problem, TimeoutError):
        return {"error": "ETIMEDOUT: no answer in time"}
    if isinstance(problem, OSError) and problem.errno is not None:
        name = errno.errorcode.get(problem.errno, str(problem.errno))
        return {"error": f"{name}: {os.strerror(problem.errno)}"}
    return {"error": f"{type(problem).__name__}: {problem}"}


def read_bytes(path: str) -> bytes:
    """The file's first MAX_TEXT bytes. /proc files have no size, so it reads until the end."""
    # O_NONBLOCK: a fifo put where a file is expected must not hold the probe up.
    handle = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        parts: list[bytes] = []
        left = MAX_TEXT
        while left > 0 and (part := os.read(handle, min(left, 65536))):
            parts.append(part)
            left -= len(part)
        return b"".join(parts)
    finally:
        os.close(handle)


def read_text(path: str) -> str:
    """The file as text; bytes that are not UTF-8 come out as U+FFFD."""
    return read_bytes(path).decode(errors="replace")


def text(path: str) -> Reading:
    """A file's text with its path, or the error with its path."""
    try:
        return {"text": read_text(path), "path": path}
    except OSError as problem:
        return {**failure(problem), "path": path}


def value(take: Callable[[], Any]) -> Reading:
    """What `take` returns as `{"value": ...}`, or the error it raised."""
    try:
        return {"value": take()}
    except (OSError, ValueError, LookupError, OverflowError) as problem:
        return failure(problem)


def sysctls(keys: list[str]) -> dict[str, Reading]:
    """Each key as the calling thread's own namespaces show it."""
    return {key: text("/proc/sys/" + key.replace(".", "/")) for key in keys}


class Deadline:
    """The end of the whole run, which no step may pass."""

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        self.end = time.monotonic() + seconds

    def left(self, most: float, but: float = 0.0) -> float:
        """Seconds a step that wants `most` may take; never zero, which means non-blocking.

        Args:
            most: what it wants.
            but: seconds of the whole run's time that are to be left when it ends.
        """
        return max(0.001, min(most, self.end - but - time.monotonic()))
