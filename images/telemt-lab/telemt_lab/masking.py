"""The fallback site (Telemt's "mask") for connections that are not a user's.

They are relayed to the site whose domain the proxy shows. Without a fallback site their bytes are
read and dropped."""

import asyncio
import contextlib
import socket

from .address import Address
from .config import Censorship
from .relay import LastBytes
from .upstream import open_tcp
from .verdicts import Fallback

# Telemt's bounds: connections to the site at once, and seconds to reach it.
_MOST = 512
_CONNECT_S = 5.0
# Bytes that are read and dropped where the site cannot be reached.
FAILED_BYTES = 8192


class Masking:
    """Chooses the fallback site and connects to it; all sessions share one."""

    def __init__(self, loop: asyncio.AbstractEventLoop, censorship: Censorship) -> None:
        self._loop = loop
        self._domains = censorship.domains
        self.mask = censorship.mask
        self._current = 0

    def enter(self) -> bool:
        """Take one of the places for connections to the site; False where none is free."""
        if self._current >= _MOST:
            return False
        self._current += 1
        return True

    def leave(self) -> None:
        """Give the place back."""
        self._current -= 1

    def target(self, fallback: Fallback) -> Address:
        """Return the site's name or address, and its port, for this fallback."""
        mask = self.mask
        if mask.host is not None:
            return mask.host, mask.port
        asked = mask.dynamic and fallback.name in self._domains
        return (fallback.name or "") if asked else self._domains[0], mask.port

    async def connect(self, fallback: Fallback) -> socket.socket | None:
        """Return a connection to the site, or None after five seconds without one."""
        began = self._loop.time()
        with contextlib.suppress(OSError, TimeoutError):
            async with asyncio.timeout(_CONNECT_S):
                return await self._open(fallback)
        # A refusal takes as long as a timeout, so that the client learns nothing from it.
        await asyncio.sleep(max(0.0, began + _CONNECT_S - self._loop.time()))
        return None

    async def _open(self, fallback: Fallback) -> socket.socket:
        if self.mask.unix_path is not None:
            sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
            try:
                sock.setblocking(False)
                await self._loop.sock_connect(sock, self.mask.unix_path)
            except BaseException:
                sock.close()
                raise
            return sock
        host, port = self.target(fallback)
        found = await self._loop.getaddrinfo(host.strip("[]"), port, type=socket.SOCK_STREAM)
        addresses = [(str(entry[4][0]), port) for entry in found]
        return await open_tcp(self._loop, addresses, _CONNECT_S)


class Allowance:
    """Passes that many bytes in one direction to or from the fallback site; 0 is no limit."""

    __slots__ = ("_left",)

    def __init__(self, most_bytes: int) -> None:
        self._left = most_bytes or None

    def __call__(self, chunk: memoryview) -> memoryview:
        """Raises LastBytes with the last ones."""
        if self._left is None:
            return chunk
        self._left -= len(chunk)
        if self._left <= 0:
            raise LastBytes(chunk[: len(chunk) + self._left], everything=False)
        return chunk
