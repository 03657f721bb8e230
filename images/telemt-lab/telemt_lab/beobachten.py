"""Which addresses failed a handshake, and how often: Telemt's page /beobachten."""

import time
from collections import defaultdict

BROKEN_OFF = "expected_64_got_0"
OTHER = "other"

# As many as Telemt keeps; beyond them a new address is not counted.
_MOST = 65_536


class Beobachten:
    """Counters by class and address, each forgotten so many minutes after its last failure."""

    def __init__(self, minutes: int) -> None:
        """minutes 0 counts nothing."""
        self._ttl_s = minutes * 60
        # Oldest first: whoever fails again moves to the end.
        self._entries: dict[tuple[str, str], tuple[int, float]] = {}

    def record(self, kind: str, host: str) -> None:
        """Count a failure of an address."""
        if not self._ttl_s:
            return
        self._forget()
        tries, _ = self._entries.pop((kind, host), (0, 0.0))
        if tries or len(self._entries) < _MOST:
            self._entries[kind, host] = (tries + 1, time.monotonic())

    def render(self) -> str:
        """Return the page: each class in brackets, then its addresses, most failures first."""
        if not self._ttl_s:
            return "beobachten disabled\n"
        self._forget()
        classes: defaultdict[str, list[tuple[int, str]]] = defaultdict(list)
        for (kind, host), (tries, _) in self._entries.items():
            classes[kind].append((-tries, host))
        lines = []
        for kind, found in sorted(classes.items()):
            lines.append(f"[{kind}]\n")
            lines += [f"{host}-{-tries}\n" for tries, host in sorted(found)]
        return "".join(lines) or "empty\n"

    def _forget(self) -> None:
        oldest = time.monotonic() - self._ttl_s
        while self._entries:
            entry = next(iter(self._entries))
            if self._entries[entry][1] >= oldest:
                break
            del self._entries[entry]
