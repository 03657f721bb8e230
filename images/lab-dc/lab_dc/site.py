"""The fallback site that fake TLS pretends to be: TLS and HTTP on one port, one small page."""

import asyncio
import ssl
from typing import cast

_HEAD_BYTES = 16 * 1024
_TIMEOUT_S = 30.0
_TLS = 0x16


class Site(asyncio.Protocol):
    """One visitor. The first byte tells TLS from HTTP; after one answer the connection ends."""

    def __init__(self, context: ssl.SSLContext, domain: str) -> None:
        self._context = context
        self._page = page(domain)
        self._transport: asyncio.Transport | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._incoming, self._outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._tls: ssl.SSLObject | None = None
        self._secured = False
        self._begun = False
        self._head = bytearray()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Start a timer: a visitor has half a minute."""
        # uvloop's own class: it has the methods, not the ancestors.
        self._transport = cast("asyncio.Transport", transport)
        self._timer = asyncio.get_running_loop().call_later(_TIMEOUT_S, self._transport.abort)

    def connection_lost(self, exc: Exception | None) -> None:
        """Stop the timer."""
        if self._timer is not None:
            self._timer.cancel()

    def data_received(self, data: bytes) -> None:
        """Take bytes in whatever pieces they come."""
        transport = self._transport
        if transport is None or transport.is_closing():
            return
        if not self._begun:
            self._begun = True
            if data[0] == _TLS:
                self._tls = self._context.wrap_bio(self._incoming, self._outgoing, server_side=True)
        if self._tls is None:
            self._take(data, transport)
            return
        self._incoming.write(data)
        try:
            self._unwrap(self._tls, transport)
        except ssl.SSLWantReadError:
            transport.write(self._outgoing.read())
        except ssl.SSLError:
            # With the alert that OpenSSL made of the error.
            transport.write(self._outgoing.read())
            transport.close()

    def _unwrap(self, tls: ssl.SSLObject, transport: asyncio.Transport) -> None:
        if not self._secured:
            tls.do_handshake()
            self._secured = True
        transport.write(self._outgoing.read())
        while not transport.is_closing():
            plain = tls.read(_HEAD_BYTES)
            if not plain:
                transport.close()
                return
            self._take(plain, transport)

    def _take(self, plain: bytes, transport: asyncio.Transport) -> None:
        self._head += plain
        if b"\r\n\r\n" in self._head:
            good = self._head.startswith((b"GET ", b"HEAD "))
            reply = _reply(self._page if good else b"", "200 OK" if good else "405 Not Allowed")
        elif len(self._head) > _HEAD_BYTES or (b"\n" in self._head and b" HTTP/" not in self._head):
            reply = _reply(b"", "400 Bad Request")
        else:
            return
        if self._tls is not None:
            self._tls.write(reply)
            reply = self._outgoing.read()
        transport.write(reply)
        transport.close()


def page(domain: str) -> bytes:
    """Return the page's HTML for a domain."""
    return (
        f"<!doctype html><title>{domain}</title>"
        f"<p>This is the lab's site for {domain}. Connections that are not MTProto end here.</p>\n"
    ).encode()


def _reply(body: bytes, status: str) -> bytes:
    head = (
        f"HTTP/1.1 {status}\r\nServer: stackctl-lab-site\r\nContent-Type: text/html\r\n"
        f"Content-Length: {len(body)}\r\nConnection: close\r\n\r\n"
    )
    return head.encode() + body
