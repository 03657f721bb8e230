"""What a stranger is shown: one GET, as a browser or a scanner would send it. The edge."""

from __future__ import annotations

import socket
import ssl
import time
from email.utils import parsedate_to_datetime

from stackctl.handshake.connect import connect
from stackctl.handshake.model import Trial
from stackctl.mtproto.stranger import describe

_MOST = 8192


def ask_site(address: str, port: int, name: str, timeout: float) -> tuple[Trial, float | None]:
    """Ask over TLS, then, where that fails, in plain HTTP.

    Args:
        address: of the proxy.
        port: of the proxy.
        name: the site to ask for.
        timeout: seconds for each of the two.

    Returns:
        What was seen; and how many seconds the site's Date is ahead of this machine's clock, if
        it showed one.
    """
    for tls in (True, False):
        answer = _get(address, port, name, tls, timeout)
        if answer.startswith(b"HTTP/"):
            how = "over TLS" if tls else "in plain HTTP"
            seen = f"a site answers a stranger {how}: {describe(answer).partition(': ')[2]}"
            return Trial("site", True, seen), _ahead(answer)
    return Trial("site", False, "no site answers a stranger, over TLS or in plain HTTP"), None


def _get(address: str, port: int, name: str, tls: bool, timeout: float) -> bytes:
    deadline = time.monotonic() + timeout
    sock = connect(address, port, timeout)
    if not isinstance(sock, socket.socket):
        return b""
    with sock:
        try:
            if not tls:
                return _exchange(sock, name, deadline)
            # Who the site is does not matter here, only what its clock says.
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
            context.check_hostname = False
            context.verify_mode = ssl.CERT_NONE
            with context.wrap_socket(sock, server_hostname=name) as secure:
                return _exchange(secure, name, deadline)
        except (OSError, ValueError):
            return b""


def _exchange(sock: socket.socket, name: str, deadline: float) -> bytes:
    # As long as a browser's at least: Telemt judges nobody before 64 bytes are there.
    request = (
        f"GET / HTTP/1.1\r\nHost: {name}\r\nUser-Agent: Mozilla/5.0\r\n"
        "Accept: text/html\r\nConnection: close\r\n\r\n"
    )
    sock.sendall(request.encode("ascii"))
    answer = b""
    while b"\r\n\r\n" not in answer and len(answer) < _MOST:
        sock.settimeout(max(deadline - time.monotonic(), 0.001))
        try:
            more = sock.recv(_MOST)
        except OSError:
            break
        if not more:
            break
        answer += more
    return answer[:_MOST]


def _ahead(answer: bytes) -> float | None:
    for line in answer.splitlines()[1:40]:
        field, _, value = line.partition(b":")
        if field.lower() == b"date":
            try:
                return parsedate_to_datetime(value.decode("latin-1")).timestamp() - time.time()
            except (ValueError, OverflowError):
                return None
    return None
