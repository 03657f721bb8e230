"""The cap on concurrent sessions, and how long an accepted connection may wait under it."""

import asyncio


class ConnectionLimit:
    """A permit per session. A waiter is served in the order it came, across all listeners."""

    def __init__(self, permits: int, timeout_ms: int) -> None:
        """permits 0 is no cap; timeout_ms 0 waits for as long as it takes."""
        self._semaphore = asyncio.Semaphore(permits) if permits else None
        self._timeout_s = timeout_ms / 1000 if timeout_ms else None

    async def acquire(self) -> bool:
        """Take a permit; False when none came free in time."""
        if self._semaphore is None:
            return True
        if not self._semaphore.locked():
            # The common case pays for no timer.
            return await self._semaphore.acquire()
        try:
            async with asyncio.timeout(self._timeout_s):
                await self._semaphore.acquire()
        except TimeoutError:
            return False
        return True

    def release(self) -> None:
        """Give a permit back, once for each acquire that returned True."""
        if self._semaphore is not None:
            self._semaphore.release()
