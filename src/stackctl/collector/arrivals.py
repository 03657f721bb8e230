"""Which clients a replica counts: its page of failed handshakes, before and after ours.

The probe's connections end before a handshake is whole, and Telemt counts that under the client's
address. The page says how often, not when: so it is read twice.
"""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Iterable, Mapping
from typing import Any

from stackctl.collector import api
from stackctl.collector.reading import Deadline, failure

PATH = "/beobachten"

# What is left of the whole run's time once the connections are over.
_AFTER = 4.0
_SHOWN = 1.0
_POLL = 0.02
# Telemt keeps 65,536 entries at most; a line of the longest address has 60 bytes.
_MOST = 8 << 20


class Moments:
    """When the replicas are to be read: before the first connection, and after the last one.

    An address is counted when its connection ends, so the first reading may be late if need be.
    """

    def __init__(self, replicas: Iterable[str]) -> None:
        self._unread = set(replicas)
        self._read = threading.Event()
        self._over = threading.Event()
        self._came: dict[str, set[str]] = {}
        if not self._unread:
            self._read.set()

    def read(self, name: str) -> None:
        """This replica's page was read for the first time, or never will be."""
        self._unread.discard(name)
        if not self._unread:
            self._read.set()

    def await_read(self, seconds: float) -> bool:
        """Until every replica's page was read, at most so long; returns whether they were."""
        return self._read.wait(seconds)

    def over(self, records: Iterable[Mapping[str, Any]]) -> None:
        """The connections are closed."""
        for record in records:
            if record.get("server") and record.get("seen_as"):
                address = record["seen_as"].rpartition(":")[0]
                self._came.setdefault(record["server"], set()).add(address)
        self._over.set()

    def await_over(self, name: str, deadline: Deadline) -> set[str]:
        """The addresses that HAProxy gave to this replica, once they are gone again.

        Raises:
            TimeoutError: the connections took too long.
        """
        if not self._over.wait(deadline.left(math.inf, but=_AFTER)):
            raise TimeoutError
        return self._came.get(name, set())


class Count:
    """One replica's page; made before the connections are."""

    def __init__(
        self, address: tuple[str, int], name: str, moments: Moments, deadline: Deadline
    ) -> None:
        """Read it for the first time, in the calling thread's network namespace."""
        self._address, self._name = address, name
        self._moments, self._deadline = moments, deadline
        self._from = f"http://{address[0]}:{address[1]}{PATH}"
        try:
            self._before = self._page()
        except (OSError, ValueError) as problem:
            self._before, self._problem = "", failure(problem)
        else:
            self._problem = {}
        moments.read(name)

    def reading(self) -> dict[str, Any]:
        """Both pages without the lines they have in common, or the error.

        Waits for the end of the connections, then at most a second for what they left.
        """
        if self._problem:
            return {**self._problem, "from": self._from}
        try:
            awaited = self._moments.await_over(self._name, self._deadline)
            end = time.monotonic() + self._deadline.left(_SHOWN)
            before = entries(self._before)
            while True:
                page = self._page()
                after = entries(page)
                shown = {line.rpartition("-")[0] for _, line in after - before}
                if awaited <= shown or time.monotonic() > end:
                    break
                time.sleep(_POLL)
        except (OSError, ValueError) as problem:
            return {**failure(problem), "from": self._from}
        same = before & after
        return {
            "before": without(self._before, same),
            "after": without(page, same),
            "from": self._from,
        }

    def _page(self) -> str:
        status, body = api.parse(api.get(self._address, PATH, self._deadline, _MOST))
        if status != 200:
            raise ValueError(f"status {status}")
        return body


def entries(page: str) -> set[tuple[str, str]]:
    """Each line of the page with the class it stands under."""
    found: set[tuple[str, str]] = set()
    under = ""
    for line in page.splitlines():
        if line.startswith("["):
            under = line
        else:
            found.add((under, line))
    return found


def without(page: str, same: set[tuple[str, str]]) -> str:
    """The page without these lines: thousands of strangers' addresses are nobody's business."""
    kept: list[str] = []
    under = ""
    for line in page.splitlines():
        if line.startswith("["):
            under = line
        if line == under or (under, line) not in same:
            kept.append(line)
    return "\n".join(kept)
