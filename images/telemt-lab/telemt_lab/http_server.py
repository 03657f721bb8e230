"""The HTTP that a health check and a scraper need: one request, one answer, close."""

import asyncio
import contextlib
import socket
from collections.abc import Callable
from dataclasses import dataclass, field
from http import HTTPStatus

_HEAD_BYTES = 16 * 1024
_TIMEOUT_S = 15.0


@dataclass(frozen=True, slots=True)
class Request:
    """A request's head: method, path without query or trailing slash, headers in lower case."""

    peer: str
    method: str
    path: str
    headers: dict[str, str]


@dataclass(frozen=True, slots=True)
class Response:
    """An answer; content_type as in the header, body in bytes."""

    status: HTTPStatus
    content_type: str
    body: bytes
    headers: dict[str, str] = field(default_factory=dict)


# None closes the connection without an answer.
Answer = Callable[[Request], Response | None]


async def serve_http(
    sock: socket.socket, backlog: int, connections: int, answer: Answer
) -> asyncio.Server:
    """Answer requests on a bound socket; connections beyond the given number are dropped."""
    current = 0

    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal current
        current += 1
        try:
            # A peer that went away, or is slower than the timeout, is not an error.
            with contextlib.suppress(OSError, TimeoutError, ValueError, EOFError):
                if current <= connections:
                    async with asyncio.timeout(_TIMEOUT_S):
                        await _exchange(reader, writer, answer)
        finally:
            current -= 1
            writer.close()

    # The backlog is given again: the server calls listen() a second time, with 100 by default.
    return await asyncio.start_server(connected, sock=sock, backlog=backlog, limit=_HEAD_BYTES)


async def _exchange(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, answer: Answer
) -> None:
    try:
        head = await reader.readuntil(b"\r\n\r\n")
    except asyncio.LimitOverrunError:
        return
    response = answer(parse_request(head, writer.get_extra_info("peername")[0]))
    if response is not None:
        writer.write(render(response))
        await writer.drain()


def parse_request(head: bytes, peer: str) -> Request:
    """Return the request of a complete head. Raises ValueError where it is not HTTP/1."""
    first, *lines = head.decode("latin-1").split("\r\n")
    method, target, version = first.split(" ")
    if not version.startswith("HTTP/1."):
        raise ValueError(f"not HTTP/1: {version!r}")
    headers = dict(_header(line) for line in lines if ":" in line)
    path = target.partition("?")[0]
    return Request(peer, method, path.rstrip("/") or "/", headers)


def _header(line: str) -> tuple[str, str]:
    name, _, value = line.partition(":")
    return name.lower(), value.strip()


def render(response: Response) -> bytes:
    """Return the answer as it goes on the wire."""
    headers = {
        "server": "stackctl-lab-double",
        "content-type": response.content_type,
        "content-length": str(len(response.body)),
        "connection": "close",
        **response.headers,
    }
    lines = [f"HTTP/1.1 {response.status.value} {response.status.phrase}"]
    lines += [f"{name}: {value}" for name, value in headers.items()]
    return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1") + response.body
