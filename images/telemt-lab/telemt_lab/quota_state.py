"""general.quota_state_path: what each user has used, from one life of the double to the next."""

import json
import os
import time
from pathlib import Path

from .users import Users


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
    """Replace the file at once by what the users have used now. Raises QuotaStateError."""
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
