"""What was seen before: bounded in entries and in age."""

import time


class ReplayCache:
    """Keys seen within the last window_s seconds; the oldest go first where there are too many."""

    def __init__(self, entries: int, window_s: int) -> None:
        """window_s 0 remembers nothing."""
        self._entries = max(1, entries)
        self._window_s = window_s
        self._seen: dict[bytes, float] = {}

    def __contains__(self, key: bytes) -> bool:
        self._forget()
        return key in self._seen

    def add(self, key: bytes) -> None:
        """Remember a key; one that is there already keeps its age."""
        if not self._window_s:
            return
        self._forget()
        if key not in self._seen:
            if len(self._seen) >= self._entries:
                del self._seen[next(iter(self._seen))]
            self._seen[key] = time.monotonic()

    def _forget(self) -> None:
        oldest = time.monotonic() - self._window_s
        while self._seen:
            key = next(iter(self._seen))
            if self._seen[key] >= oldest:
                break
            del self._seen[key]
