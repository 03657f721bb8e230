"""Addresses that keep failing are not even looked at for a while, as in Telemt."""

import ipaddress
import time

# From the fourth failure in a row: 25 ms, doubled with each more, at most a second.
_FIRST_BLOCKED = 4
_SHORTEST_S, _LONGEST_S = 0.025, 1.0
_REMEMBERED_S = 600.0
_MOST = 65_536


class Throttle:
    """Failures in a row by address; for IPv6 by its /64."""

    def __init__(self) -> None:
        # Oldest failure first.
        self._failures: dict[str, tuple[int, float, float]] = {}

    def blocked(self, host: str) -> bool:
        """Say whether this address has to wait."""
        if not self._failures:
            return False
        found = self._failures.get(_key(host))
        return found is not None and time.monotonic() < found[1]

    def failed(self, host: str) -> None:
        """Count a failure."""
        now, key = time.monotonic(), _key(host)
        count, _, last = self._failures.pop(key, (0, 0.0, now))
        count = 1 if now - last > _REMEMBERED_S else count + 1
        wait = 0.0
        if count >= _FIRST_BLOCKED:
            wait = min(_LONGEST_S, _SHORTEST_S * 2 ** min(count - _FIRST_BLOCKED, 10))
        if len(self._failures) >= _MOST:
            del self._failures[next(iter(self._failures))]
        self._failures[key] = (count, now + wait, now)

    def succeeded(self, host: str) -> None:
        """Forget an address's failures."""
        if self._failures:
            self._failures.pop(_key(host), None)


def _key(host: str) -> str:
    if ":" not in host:
        return host
    address = ipaddress.IPv6Address(host.partition("%")[0])
    return str(ipaddress.IPv6Network((int(address) >> 64 << 64, 64)))
