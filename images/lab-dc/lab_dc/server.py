"""The three listeners (data centre, fallback site, status page) and the signals that end them."""

import asyncio
import functools
import signal
import socket
from dataclasses import dataclass

from .certificate import tls_context
from .session import Session
from .site import Site
from .status import Counts, Status

# The kernel takes min(backlog, somaxconn), so somaxconn alone decides.
_BACKLOG = 65_535

Address = tuple[str, int]


@dataclass(frozen=True, slots=True)
class Arguments:
    """Addresses to listen on; domain is the fallback site's."""

    dc: Address
    site: Address
    status: Address
    domain: str


class Server:
    """The data centre, the fallback site and the status page."""

    def __init__(self, arguments: Arguments) -> None:
        self._arguments = arguments
        self._servers: list[asyncio.Server] = []
        self.counts = Counts()

    async def start(self) -> list[Address]:
        """Listen; returns the addresses of dc, site and status. Raises OSError."""
        loop, arguments = asyncio.get_running_loop(), self._arguments
        context = tls_context(arguments.domain)
        session = functools.partial(Session, self.counts)
        site = functools.partial(Site, context, arguments.domain)
        self._servers = [
            await loop.create_server(session, *arguments.dc, backlog=_BACKLOG),
            await loop.create_server(site, *arguments.site, backlog=_BACKLOG),
            await asyncio.start_server(Status(self.counts).serve, *arguments.status),
        ]
        return [_address(server.sockets[0]) for server in self._servers]

    def close(self) -> None:
        """Stop listening."""
        for server in self._servers:
            server.close()


async def run(arguments: Arguments) -> None:
    """Serve until SIGTERM or SIGINT. Raises OSError where it cannot listen."""
    loop = asyncio.get_running_loop()
    stopped = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stopped.set)
    server = Server(arguments)
    for name, (host, port) in zip(("dc", "site", "status"), await server.start(), strict=True):
        print(f"{name} listens on {host}:{port}", flush=True)
    await stopped.wait()
    server.close()


def _address(sock: socket.socket) -> Address:
    host, port = sock.getsockname()[:2]
    return str(host), int(port)
