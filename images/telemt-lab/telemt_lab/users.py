"""The users while the double runs: who is in, from where, and what they have used."""

import json
import time
from collections.abc import Iterator

from .config import Access, UserEntry


class User:
    """One user's live state. label is the name as a JSON string."""

    __slots__ = (
        "active",
        "connections",
        "entry",
        "from_client",
        "label",
        "quota_reset",
        "quota_used",
        "recent",
        "to_client",
        "total",
    )

    def __init__(self, entry: UserEntry) -> None:
        self.entry = entry
        self.label = json.dumps(entry.name)
        self.connections = 0
        self.total = 0
        self.from_client = 0
        self.to_client = 0
        self.quota_used = 0
        self.quota_reset = 0
        # Sessions by address, and when each address last came.
        self.active: dict[str, int] = {}
        self.recent: dict[str, float] = {}

    @property
    def spent(self) -> bool:
        """Whether the quota, where there is one, is used up."""
        return self.entry.quota is not None and self.quota_used >= self.entry.quota

    def take(self, count: int) -> int:
        """Charge up to count bytes to the quota; returns how many of them it allows."""
        if self.entry.quota is None:
            return count
        allowed = min(count, max(0, self.entry.quota - self.quota_used))
        self.quota_used += allowed
        return allowed


class Users:
    """All users of the file, in its order."""

    def __init__(self, access: Access) -> None:
        self._mode = access.address_mode
        self.window_s = access.address_window_s
        self._by_name = {entry.name: User(entry) for entry in access.users}

    def __iter__(self) -> Iterator[User]:
        return iter(self._by_name.values())

    def get(self, name: str | None) -> User | None:
        """Return the user of this name."""
        return self._by_name.get(name) if name is not None else None

    def admit(self, user: User, host: str) -> str:
        """Count a session in; returns why not, or an empty text where it was admitted."""
        entry = user.entry
        if not entry.enabled:
            return "user disabled"
        if user.spent:
            return "data quota exceeded"
        if entry.connections and user.connections >= entry.connections:
            return "connection limit exceeded"
        self.prune(user)
        if host not in user.active and self._too_many_addresses(user, host):
            return "address limit exceeded"
        user.connections += 1
        user.active[host] = user.active.get(host, 0) + 1
        # Moved to the end: the oldest stay in front.
        user.recent.pop(host, None)
        user.recent[host] = time.monotonic()
        return ""

    def release(self, user: User, host: str) -> None:
        """Count a session out, once for each that was admitted."""
        user.connections -= 1
        left = user.active[host] - 1
        if left:
            user.active[host] = left
        else:
            del user.active[host]

    def prune(self, user: User) -> None:
        """Forget addresses that came last before the window."""
        oldest = time.monotonic() - self.window_s
        while user.recent:
            host = next(iter(user.recent))
            if user.recent[host] >= oldest:
                break
            del user.recent[host]

    def _too_many_addresses(self, user: User, host: str) -> bool:
        limit = user.entry.addresses
        if not limit:
            return False
        active = len(user.active) >= limit
        recent = len(user.recent) >= limit and host not in user.recent
        return {"active_window": active, "time_window": recent}.get(self._mode, active or recent)
