"""Reads the operator's files: small UTF-8 text, or a clear refusal."""

from __future__ import annotations

import os
import stat
from pathlib import Path

from stackctl.errors import SpecError
from stackctl.spec.problem import named

MAX_BYTES = 256 * 1024
"""Ten times the longest stack file anyone would write by hand."""


def read_text(path: Path, what: str) -> str:
    """A file's text.

    Args:
        path: the file, at most 256 KiB.
        what: what it is to the operator ("stack file"), for messages.

    Raises:
        SpecError: missing, not a regular file, unreadable, too large, or not UTF-8 text.
    """

    def error(problem: str, remedy: str) -> SpecError:
        return SpecError(named(path), problem, remedy)

    try:
        with open(path, "rb", opener=_open) as file:
            if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
                raise error("is not a regular file", f"give the path of a {what}")
            data = file.read(MAX_BYTES + 1)
    except IsADirectoryError:
        raise error("is a directory", f"give the path of the {what} in it") from None
    except FileNotFoundError:
        raise error(
            f"there is no such {what}", "write one with `stackctl init`, or correct the path"
        ) from None
    except (OSError, ValueError) as caused:
        why = caused.strerror if isinstance(caused, OSError) else "no file can have this name"
        raise error(f"cannot be read: {why}", "check the path and its permissions") from None
    if len(data) > MAX_BYTES:
        raise error("is larger than 256 KiB", f"give the path of a {what}; none is that long")
    if b"\0" in data:
        raise error("is not text: it holds NUL bytes", f"give the path of a {what}")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as caused:
        line = data.count(b"\n", 0, caused.start) + 1
        raise error(f"is not UTF-8 text (line {line})", "save it as UTF-8") from None


def _open(path: str, flags: int) -> int:
    # Without O_NONBLOCK, opening a named pipe would wait for ever.
    return os.open(path, flags | os.O_NONBLOCK)
