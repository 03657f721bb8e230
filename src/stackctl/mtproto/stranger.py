"""Which other server answered, told by its first bytes."""

from __future__ import annotations

import re

from stackctl.mtproto.records import ALERT, HANDSHAKE
from stackctl.mtproto.tls13 import parse_server_hello

_ALERTS = {
    0: "close_notify",
    10: "unexpected_message",
    22: "record_overflow",
    40: "handshake_failure",
    47: "illegal_parameter",
    50: "decode_error",
    51: "decrypt_error",
    70: "protocol_version",
    80: "internal_error",
    86: "inappropriate_fallback",
    109: "missing_extension",
    112: "unrecognized_name",
    120: "no_application_protocol",
}
_SHOWN = 16


def recognised(first: bytes) -> bool:
    """Whether these bytes are plainly another protocol's; encrypted bytes never look like that."""
    return first[:7] == b"HTTP/1." or first[:4] == b"SSH-" or _alert(first) is not None


def describe(first: bytes) -> str:
    """The server that begins like this, as one clause.

    Args:
        first: the first few hundred bytes that came, or fewer.
    """
    if not first:
        return "nobody: no byte came"
    if first[:5] == b"HTTP/":
        return "a web server over plain HTTP: " + _http(first)
    if first[:4] == b"SSH-":
        return f"an SSH server: {printable(first.splitlines()[0])}"
    if (alert := _alert(first)) is not None:
        return f"a TLS server with the alert {_ALERTS.get(alert, 'number')} ({alert})"
    if first[0] == HANDSHAKE and first[1:2] == b"\x03":
        return _hello(first)
    return f"an unknown protocol, first bytes {first[:_SHOWN].hex(' ')}"


def _alert(first: bytes) -> int | None:
    whole = len(first) >= 7 and first[0] == ALERT and first[1] == 3 and first[2] <= 4
    return first[6] if whole and first[3:5] == b"\x00\x02" and first[5] in {1, 2} else None


def _hello(first: bytes) -> str:
    hello = parse_server_hello(first[5:])
    if hello is None:
        return "a TLS server whose first record is not an answer to our hello"
    if hello.retry:
        return "a real TLS 1.3 server that asks for another key share"
    tls13 = hello.suite[:1] == b"\x13"
    return "a real TLS 1.2 server" if not tls13 else "a TLS 1.3 server that sent a ServerHello only"


def _http(first: bytes) -> str:
    lines = first.splitlines()
    server = re.search(rb"(?im)^server:[ \t]*([^\r\n]{1,60})", first)
    who = f" ({printable(server[1])})" if server else ""
    return printable(lines[0]) + who


def printable(raw: bytes) -> str:
    """Up to 60 bytes as text that is safe for a terminal."""
    return "".join(c if c.isprintable() else "\ufffd" for c in raw[:60].decode("latin-1"))
