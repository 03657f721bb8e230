"""What the data centre has seen, for its status page."""

from collections import Counter, deque

_RECENT = 64


class Counts:
    """Sessions now and in all, answers, sessions by data centre; the last ones in full."""

    def __init__(self) -> None:
        self.sessions = 0
        self.total = 0
        self.answered = 0
        self.by_dc: Counter[int] = Counter()
        self.recent: deque[dict[str, object]] = deque(maxlen=_RECENT)

    def began(self, dc: int, framing: str, peer: str) -> None:
        """Count a session whose first 64 bytes were good."""
        self.sessions += 1
        self.total += 1
        self.by_dc[dc] += 1
        self.recent.append({"dc": dc, "framing": framing, "peer": peer})

    def as_dict(self) -> dict[str, object]:
        """Return what the status page shows; recent has the latest last."""
        return {
            "sessions": self.sessions,
            "total": self.total,
            "answered": self.answered,
            "by_dc": {str(dc): count for dc, count in sorted(self.by_dc.items())},
            "recent": list(self.recent),
        }
