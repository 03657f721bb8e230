"""The way out: addresses of data centres, and connections to them."""

import asyncio
import contextlib
import random
import socket
import time

from .address import Address
from .config import Upstream
from .metrics import Counters

_PORT = 443
_WATCH_S = 30.0
_FOUR = ("149.154.175.50", "149.154.167.51", "149.154.175.100", "149.154.167.91", "149.154.171.5")
_SIX = (
    "2001:b28:f23d:f001::a",
    "2001:67c:4e8:f002::a",
    "2001:b28:f23d:f003::a",
    "2001:67c:4e8:f004::a",
    "2001:b28:f23f:f005::a",
)


def datacentre(upstream: Upstream, dc: int) -> Address:
    """Return a data centre's address; a negative number is its media side, at the same address."""
    given = upstream.overrides.get(dc)
    if given:
        same = (address for address in given if (":" in address[0]) == upstream.prefer_six)
        return next(same, given[0])
    known = _SIX if upstream.prefer_six else _FOUR
    number = abs(dc) if 1 <= abs(dc) <= len(known) else upstream.default_dc
    return known[number - 1 if 1 <= number <= len(known) else 0], _PORT


class Dialler:
    """Connects to data centres directly, and knows whether that worked recently."""

    def __init__(
        self, loop: asyncio.AbstractEventLoop, upstream: Upstream, counters: Counters
    ) -> None:
        self._loop = loop
        self._upstream = upstream
        self._counters = counters
        self._failures = 0

    @property
    def healthy(self) -> int:
        """How many upstreams work as far as is known: all or none."""
        return self._upstream.count if self._failures < self._upstream.unhealthy_after else 0

    async def watch(self) -> None:
        """Every half minute, try again upstreams that failed; runs until cancelled."""
        while True:
            await asyncio.sleep(_WATCH_S)
            if self._upstream.count and not self.healthy:
                address = datacentre(self._upstream, self._upstream.default_dc)
                with contextlib.suppress(OSError, TimeoutError):
                    timeout_s = self._upstream.connect_timeout_s
                    (await open_tcp(self._loop, [address], timeout_s)).close()
                    self._failures = 0

    async def connect(self, dc: int) -> socket.socket | None:
        """Return a connection to a data centre, or None after the configured number of attempts."""
        if not self._upstream.count:
            self._counters.upstream_failures += 1
            return None
        address = datacentre(self._upstream, dc)
        end = time.monotonic() + self._upstream.budget_ms / 1000
        for attempt in range(self._upstream.attempts):
            if attempt:
                await asyncio.sleep(self._upstream.backoff_ms / 1000 * random.uniform(0.5, 1.0))  # noqa: S311
            left = end - time.monotonic()
            if left <= 0:
                break
            with contextlib.suppress(OSError, TimeoutError):
                timeout_s = min(left, self._upstream.connect_timeout_s)
                sock = await open_tcp(self._loop, [address], timeout_s)
                self._counters.upstream_successes += 1
                self._failures = 0
                return sock
        self._counters.upstream_failures += 1
        self._failures += 1
        return None


async def open_tcp(
    loop: asyncio.AbstractEventLoop, addresses: list[Address], timeout_s: float
) -> socket.socket:
    """Return a non-blocking connection to the first of the addresses that answers.

    Raises OSError, or TimeoutError after timeout_s seconds for all of them.
    """
    problem = OSError("no address")
    async with asyncio.timeout(timeout_s):
        for address in addresses:
            family = socket.AF_INET6 if ":" in address[0] else socket.AF_INET
            sock = socket.socket(family, socket.SOCK_STREAM)
            try:
                sock.setblocking(False)
                sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                await loop.sock_connect(sock, address)
            except OSError as error:
                sock.close()
                problem = error
            except BaseException:
                sock.close()
                raise
            else:
                return sock
    raise problem
