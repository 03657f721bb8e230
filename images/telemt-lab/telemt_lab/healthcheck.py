"""`telemt healthcheck`: ask the running double's API, answer with an exit code."""

import ipaddress
import json
import socket
from pathlib import Path

from .address import Address, show
from .document import ConfigError
from .load import load

PATHS = {"liveness": "/v1/health", "ready": "/v1/health/ready"}

_TIMEOUT_S = 2.0


class UnhealthyError(Exception):
    """The check failed; the message says how."""


def check(config_path: Path, mode: str) -> None:
    """Ask the API of the configuration for liveness or readiness.

    Returns at once where the API is disabled, as Telemt does. Raises UnhealthyError for every other
    outcome than a healthy answer within 2 s.
    """
    try:
        config = load(config_path)
    except ConfigError as error:
        raise UnhealthyError(str(error)) from None
    if not config.api.enabled:
        return
    target = _target(config.api.address)
    request = f"GET {PATHS[mode]} HTTP/1.1\r\nHost: {show(target)}\r\nConnection: close\r\n"
    if config.api.auth_header:
        request += f"Authorization: {config.api.auth_header}\r\n"
    try:
        reply = _exchange(target, (request + "\r\n").encode())
    except OSError as error:
        raise UnhealthyError(f"{show(target)}: {error}") from None
    judge(mode, reply)


def judge(mode: str, reply: bytes) -> None:
    """Accept an HTTP reply as healthy, or raise UnhealthyError."""
    head, _, body = reply.partition(b"\r\n\r\n")
    words = head.split(maxsplit=2)
    if len(words) < 2 or not words[0].startswith(b"HTTP/"):
        raise UnhealthyError("no HTTP answer")
    if words[1] != b"200":
        raise UnhealthyError(f"HTTP status {words[1].decode('latin-1')}")
    try:
        payload = json.loads(body)
        healthy = payload["ok"] is True and (
            payload["data"]["status"] == "ok"
            if mode == "liveness"
            else payload["data"]["ready"] is True
        )
    except (ValueError, KeyError, TypeError):
        raise UnhealthyError("the answer is not Telemt's JSON") from None
    if not healthy:
        raise UnhealthyError(f"not {mode}")


def _target(listen: Address) -> Address:
    host, port = listen
    if port == 0:
        raise UnhealthyError("server.api.listen has port 0")
    address = ipaddress.ip_address(host)
    if address.is_unspecified:
        host = "127.0.0.1" if address.version == 4 else "::1"
    return host, port


def _exchange(target: Address, request: bytes) -> bytes:
    with socket.create_connection(target, timeout=_TIMEOUT_S) as connection:
        connection.sendall(request)
        received = bytearray()
        while chunk := connection.recv(4096):
            received += chunk
        return bytes(received)
