"""Telemt's API, asked from inside the replica's own network namespace."""

from __future__ import annotations

import socket
import time
import tomllib
from typing import Any

from stackctl.collector import procs
from stackctl.collector.reading import Deadline, failure, read_text

_STEP = 2.0
_MOST = 64 << 10
PATHS = ("/v1/health", "/v1/health/ready")


def authorization(pid: int, path: str) -> str:
    """The Authorization header that the replica's own file asks for; "" where there is none.

    Args:
        pid: the replica's process.
        path: the file with its secrets, inside the process's root.

    Raises:
        OSError, ValueError: it cannot be read, or is not TOML.
    """
    return str(tomllib.loads(read_text(procs.inside(pid, path))).get("auth_header", ""))


def readings(
    address: tuple[str, int], pid: int, secrets: str, deadline: Deadline
) -> dict[str, Any]:
    """Each path's `{"status": 200, "body": ...}` or `{"error": ...}`.

    The secret is read where the replica reads it, and stays in this process.
    """
    try:
        shown = authorization(pid, secrets)
    except (OSError, ValueError) as problem:
        return {path: failure(problem) for path in PATHS}
    found: dict[str, Any] = {}
    for path in PATHS:
        try:
            status, body = parse(get(address, path, deadline, auth=shown))
            found[path] = {"status": status, "body": body}
        except (OSError, ValueError) as problem:
            found[path] = failure(problem)
        found[path]["from"] = f"http://{address[0]}:{address[1]}{path}"
    return found


def get(
    address: tuple[str, int], path: str, deadline: Deadline, most: int = _MOST, auth: str = ""
) -> bytes:
    """The whole answer, at most so many bytes of it; `auth` is the Authorization header."""
    end = time.monotonic() + deadline.left(_STEP)
    # HTTP/1.0: the answer ends with the connection, and is never chunked.
    request = f"GET {path} HTTP/1.0\r\nHost: {address[0]}\r\nConnection: close\r\n"
    request += f"Authorization: {auth}\r\n\r\n" if auth else "\r\n"
    with socket.create_connection(address, timeout=deadline.left(_STEP)) as sock:
        sock.sendall(request.encode())
        data = bytearray()
        while len(data) < most and (part := sock.recv(_MOST)):
            data += part
            if complete(data):
                break
            if time.monotonic() > end:
                raise TimeoutError
        return bytes(data[:most])


def complete(answer: bytes | bytearray) -> bool:
    """Whether the whole body its length was given for is there; some servers hold on after it."""
    head, separator, body = answer.partition(b"\r\n\r\n")
    for line in head.split(b"\r\n")[1:] if separator else ():
        name, _, number = line.partition(b":")
        if name.strip().lower() == b"content-length" and number.strip().isdigit():
            return len(body) >= int(number)
    return False


def parse(answer: bytes) -> tuple[int, str]:
    """Status and body of an HTTP answer.

    Raises:
        ValueError: it is not HTTP.
    """
    head, separator, body = answer.partition(b"\r\n\r\n")
    words = head.split(b"\r\n", 1)[0].split(b" ", 2)
    if not separator or not words[0].startswith(b"HTTP/1.") or len(words) < 2:
        raise ValueError(f"not an HTTP answer: {answer[:40]!r}")
    return int(words[1]), body.decode(errors="replace")
