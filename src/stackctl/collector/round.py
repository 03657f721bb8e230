"""What all handshakes of one run share: users, modes, the time there is, and the records."""

from __future__ import annotations

import hashlib
import os
import threading
import time
from typing import Any

from stackctl.collector.reading import Deadline
from stackctl.collector.trial import Address, Trial, Way, client

RETRY = 2.0
"""Seconds for a second try, which is made where the first one failed."""

_ONCE_WAITED = 1.0


class Round:
    """One run's handshakes.

    Attributes:
        asked: the request's "handshakes".
        deadline: of the probe's whole run.
        records: what was seen, one for each handshake.
    """

    def __init__(self, asked: dict[str, Any], deadline: Deadline) -> None:
        """Time begins to count."""
        self.asked = asked
        self.deadline = deadline
        self.records: list[dict[str, Any]] = []
        self._end = time.monotonic() + float(asked["seconds"])
        self._lock = threading.Lock()

    def attempt(self, way: Way, user: str, mode: str, seconds: float) -> Trial:
        """One handshake; its connection is the caller's to close."""
        key = bytes.fromhex(self.asked["users"][user])
        domain = self.asked["domain"] if mode == "tls" else ""
        end = min(time.monotonic() + seconds, self._end)
        return Trial(way, client().Secret(mode, key, domain), int(self.asked["dc"]), end)

    def note(self, place: str, user: str, mode: str, record: dict[str, Any]) -> None:
        """Keep a record."""
        with self._lock:
            self.records.append({"place": place, "user": user, "mode": mode, **record})

    def over(self, place: str, user: str, mode: str) -> bool:
        """Whether there is no time left for this handshake, which is then noted."""
        if time.monotonic() < self._end:
            return False
        words = f"not tried: the {float(self.asked['seconds']):g} s there were are over"
        self.note(place, user, mode, {"steps": [], "error": words})
        return True

    def patience(self) -> Patience:
        """How long to wait at one place."""
        return Patience(float(self.asked["each"]))


class Patience:
    """Seconds for a handshake: a place that lets one client wait lets the next one wait too."""

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds

    def after(self, record: dict[str, Any]) -> None:
        """Less, once a handshake has waited in vain."""
        if record.get("failure", {}).get("cause") == "timeout":
            self.seconds = min(self.seconds, _ONCE_WAITED)


def named(user: str) -> Address:
    """The client that a header names: an address of the network set aside for tests (198.18/15).

    Always the same for a user: one that has a limit of addresses loses one to it, and no more.
    """
    digest = hashlib.sha256(user.encode()).digest()
    host = f"198.{18 + digest[0] % 2}.{digest[1]}.{1 + digest[2] % 254}"
    return host, 1024 + int.from_bytes(os.urandom(2), "big") % 64000


def came_to(published: list[Any] | None) -> Address:
    """The address that a header says the client came to: the published one, if that is IPv4."""
    if published and ":" not in str(published[0]):
        return str(published[0]), int(published[1])
    return "198.18.0.1", 443
