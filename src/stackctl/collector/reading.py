"""Read a single raw fact: its value, or why it could not be read. Never a default."""

from __future__ import annotations

import errno
import os
import time
from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import Any, TypeVar

from stackctl.collector.answer import Reading, Unread

T = TypeVar("T")

PROC = "/proc"
"""Where the kernel's files are; tests use a folder of their own."""

MAX_TEXT = 1 << 20
"""Most bytes read of a file: no file that the collector reads is larger."""


def failure(problem: BaseException, path: str = "") -> Reading[Any]:
    """A reading with "ENOENT: No such file or directory", or the exception's own text."""
    return Reading(error=_words(problem), path=path)


def _words(problem: BaseException) -> str:
    if isinstance(problem, Unread):
        return str(problem)
    if isinstance(problem, TimeoutError):
        return "ETIMEDOUT: no answer in time"
    if isinstance(problem, OSError) and problem.errno is not None:
        name = errno.errorcode.get(problem.errno, str(problem.errno))
        return f"{name}: {os.strerror(problem.errno)}"
    return f"{type(problem).__name__}: {problem}"


def read_bytes(path: str) -> bytes:
    """The file's first MAX_TEXT bytes. Files of /proc show no size, so it reads to the end."""
    # O_NONBLOCK: a fifo in place of the file must not block the collector.
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
    """The file as text; bytes that are not UTF-8 become U+FFFD."""
    return read_bytes(path).decode(errors="replace")


def text(path: str) -> Reading[str]:
    """A file's text."""
    try:
        return Reading(read_text(path), path=path)
    except OSError as problem:
        return failure(problem, path)


def lines_of(path: str, keep: Callable[[str], bool]) -> Reading[str]:
    """The lines of a file for which `keep` is true."""
    whole = text(path)
    if whole.value is None:
        return whole
    return replace(whole, value="\n".join(line for line in whole.value.splitlines() if keep(line)))


def link(path: str) -> Reading[str]:
    """Where a symbolic link points."""
    try:
        return Reading(os.readlink(path))
    except OSError as problem:
        return failure(problem)


def value(take: Callable[[], T]) -> Reading[T]:
    """What `take` returns, or the error it raised."""
    try:
        return Reading(take())
    except (OSError, ValueError, LookupError, OverflowError) as problem:
        return failure(problem)


def sysctl(key: str, proc: str = PROC) -> Reading[str]:
    """A key as the calling thread's own namespaces show it."""
    return text(f"{proc}/sys/{key.replace('.', '/')}")


def sysctls(keys: Iterable[str], proc: str = PROC) -> dict[str, Reading[str]]:
    """Each key as the calling thread's own namespaces show it."""
    return {key: sysctl(key, proc) for key in keys}


class Deadline:
    """The time by which the whole run ends; no step may take longer."""

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        self.end = time.monotonic() + seconds

    def left(self, most: float, but: float = 0.0) -> float:
        """Seconds that a step may take; never zero, which would mean non-blocking.

        Args:
            most: the most that the step asks for.
            but: seconds of the whole run's time that have to be left when the step ends.
        """
        return max(0.001, min(most, self.end - but - time.monotonic()))
