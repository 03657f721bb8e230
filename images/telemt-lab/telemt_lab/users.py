"""The users while the double runs: who is connected, from where, and what they have used."""

import json
import os
import time
from collections.abc import Iterator
from pathlib import Path

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
        # Sessions by address, and the time of each address's last session.
        self.active: dict[str, int] = {}
        self.recent: dict[str, float] = {}

    @property
    def spent(self) -> bool:
        """Whether there is a quota and it is used up."""
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
        """Count a session in; returns the reason of a refusal, or an empty text."""
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
        # Moved to the end, so that the oldest are first.
        user.recent.pop(host, None)
        user.recent[host] = time.monotonic()
        return ""

    def release(self, user: User, host: str) -> None:
        """Count out a session that was admitted."""
        user.connections -= 1
        left = user.active[host] - 1
        if left:
            user.active[host] = left
        else:
            del user.active[host]

    def prune(self, user: User) -> None:
        """Forget addresses whose last session is older than the window."""
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


class QuotaStateError(Exception):
    """The file cannot be read or written; the message is one line for the operator."""


def load_quota_state(path: Path, users: Users) -> None:
    """Set the users' quotas from the file; a missing file sets nothing.

    Raises QuotaStateError where the file is there and cannot be used.
    """
    try:
        state = json.loads(path.read_bytes())
        found = {
            str(name): (int(entry["used_bytes"]), int(entry["last_reset_epoch_secs"]))
            for name, entry in state["users"].items()
        }
    except FileNotFoundError:
        return
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise QuotaStateError(f"quota state not read: {path}: {error!r}") from None
    for name, (used, reset) in found.items():
        user = users.get(name)
        if user is not None:
            user.quota_used, user.quota_reset = used, reset


def save_quota_state(path: Path, users: Users) -> None:
    """Replace the file atomically with the users' current use. Raises QuotaStateError."""
    entries = {
        user.entry.name: {
            "used_bytes": user.quota_used,
            "last_reset_epoch_secs": user.quota_reset,
        }
        for user in sorted(users, key=lambda user: user.entry.name)
        if user.quota_used or user.quota_reset
    }
    last = max((user.quota_reset for user in users), default=0)
    state = {"last_reset_epoch_secs": last, "users": entries}
    scratch = path.with_suffix(f".tmp.{int(time.time())}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with scratch.open("w", encoding="utf-8") as file:
            file.write(json.dumps(state, indent=2) + "\n")
            file.flush()
            os.fsync(file.fileno())
        scratch.replace(path)
    except OSError as error:
        raise QuotaStateError(f"quota state not written: {path}: {error.strerror}") from None
