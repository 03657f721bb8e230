"""What a replica tells: its API, its metrics, its page of failed handshakes.

All are asked from inside the replica's own network namespace. The API's secret is read from the
replica's own file and stays in this process.

The collector's connections end before a handshake is complete, and Telemt counts that under the
client's address. The page of failed handshakes shows how often, not when, so it is read twice.
"""

from __future__ import annotations

import json
import math
import socket
import threading
import time
import tomllib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from typing import Any

from stackctl.collector import process
from stackctl.collector.answer import (
    NOT_READ,
    Connection,
    FailedHandshakes,
    Http,
    Reading,
    TelemtAnswers,
)
from stackctl.collector.reading import Deadline, failure, read_text, value
from stackctl.collector.request import ReplicaTarget

Address = tuple[str, int]

HEALTH, READY = "/v1/health", "/v1/health/ready"
ACTIVE = "/v1/stats/users/active-ips"
"""Path of the addresses from which users are connected."""

FAILED = "/beobachten"
METRICS = "/metrics"

_STEP = 2.0
_ANSWER = 64 << 10
_METRICS = 16 << 20
"""Most bytes of a large answer: 250,000 addresses of 20 bytes, with room to spare."""

# Telemt keeps at most 65,536 entries; the longest line has 60 bytes.
_FAILED = 8 << 20
# Seconds of the whole run that have to be left when the connections are over.
_AFTER = 4.0
_SHOWN = 1.0
_POLL = 0.02
_COUNTED = (
    "telemt_connections_bad_by_class_total",
    "telemt_handshake_failures_by_class_total",
    "telemt_upstream_connect_fail_total",
    "telemt_upstream_connect_attempt_total",
    "telemt_upstream_connect_failfast_hard_error_total",
)
_REFUSED = (
    "telemt_accept_permit_timeout_total",
    "telemt_connections_bad_by_class_total",
    "telemt_handshake_timeouts_total",
    "telemt_upstream_connect_fail_total",
)
_OF_USER = (
    "telemt_user_connections_current",
    "telemt_user_unique_ips_current",
    "telemt_user_unique_ips_limit",
)


def answers(
    target: ReplicaTarget, pid: int, deadline: Deadline, failed: FailedCount | None, counted: bool
) -> TelemtAnswers:
    """All answers of a replica, asked in the calling thread's network namespace.

    Args:
        target: the replica.
        pid: its process.
        deadline: of the whole run.
        failed: its page of failed handshakes, where the collector makes connections.
        counted: read also its counters of refusals.
    """
    try:
        auth = authorization(pid, target.users)
    except (OSError, ValueError) as problem:
        health = ready = failure(problem)
    else:
        health = _asked(target.api, HEALTH, auth, deadline)
        ready = _asked(target.api, READY, auth, deadline)
    refused = _refused(target.metrics, deadline) if counted else NOT_READ
    # This comes last, because it waits for the end of the connections.
    return TelemtAnswers(health, ready, failed.reading() if failed else NOT_READ, refused)


def unread(why: Reading[Any], failed: bool, counted: bool) -> TelemtAnswers:
    """A replica that could not be asked."""
    return TelemtAnswers(why, why, why if failed else NOT_READ, why if counted else NOT_READ)


def _asked(address: Address, path: str, auth: str, deadline: Deadline) -> Reading[Http]:
    found = value(lambda: parse(get(address, path, deadline, auth=auth)))
    return replace(found, path=url(address, path))


def url(address: Address, path: str) -> str:
    """The URL of a path."""
    return f"http://{address[0]}:{address[1]}{path}"


def authorization(pid: int, path: str) -> str:
    """The Authorization header that the replica's own file sets; "" where it sets none.

    Args:
        pid: the replica's process.
        path: the file with its secrets, inside the process's root.

    Raises:
        OSError, ValueError: it cannot be read, or is not TOML.
    """
    return str(tomllib.loads(read_text(process.inside(pid, path))).get("auth_header", ""))


def get(
    address: Address, path: str, deadline: Deadline, most: int = _ANSWER, auth: str = ""
) -> bytes:
    """The whole answer, at most `most` bytes of it; `auth` is the Authorization header."""
    end = time.monotonic() + deadline.left(_STEP)
    # With HTTP/1.0 the answer ends with the connection and is never chunked.
    request = f"GET {path} HTTP/1.0\r\nHost: {address[0]}\r\nConnection: close\r\n"
    request += f"Authorization: {auth}\r\n\r\n" if auth else "\r\n"
    with socket.create_connection(address, timeout=deadline.left(_STEP)) as sock:
        sock.sendall(request.encode())
        data = bytearray()
        while len(data) < most and (part := sock.recv(_ANSWER)):
            data += part
            if complete(data):
                break
            if time.monotonic() > end:
                raise TimeoutError
        return bytes(data[:most])


def complete(answer: bytes | bytearray) -> bool:
    """Whether the body has its Content-Length; some servers keep the connection open after it."""
    head, separator, body = answer.partition(b"\r\n\r\n")
    for line in head.split(b"\r\n")[1:] if separator else ():
        name, _, number = line.partition(b":")
        if name.strip().lower() == b"content-length" and number.strip().isdigit():
            return len(body) >= int(number)
    return False


def parse(answer: bytes) -> Http:
    """Status and body of an HTTP answer.

    Raises:
        ValueError: it is not HTTP.
    """
    head, separator, body = answer.partition(b"\r\n\r\n")
    words = head.split(b"\r\n", 1)[0].split(b" ", 2)
    if not separator or not words[0].startswith(b"HTTP/1.") or len(words) < 2:
        raise ValueError(f"not an HTTP answer: {answer[:40]!r}")
    return Http(int(words[1]), body.decode(errors="replace"))


def page(address: Address, path: str, deadline: Deadline, most: int, auth: str = "") -> str:
    """The body of a page, asked in the calling thread's network namespace.

    Raises:
        OSError, ValueError: there is no such page.
    """
    answer = parse(get(address, path, deadline, most, auth))
    if answer.status != 200:
        raise ValueError(f"GET {path}: status {answer.status}")
    return answer.body


class Moments:
    """When to read the replicas' pages: before the first connection, and after the last one.

    Telemt counts an address when its connection ends, so the first reading may come a bit late.
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
        """Wait until every replica's page was read, or time is up; return whether all were."""
        return self._read.wait(seconds)

    def over(self, connections: Iterable[Connection]) -> None:
        """The connections are closed."""
        for one in connections:
            if one.server and one.seen_as:
                address = one.seen_as.rpartition(":")[0]
                self._came.setdefault(one.server, set()).add(address)
        self._over.set()

    def await_over(self, name: str, deadline: Deadline) -> set[str]:
        """The addresses of the clients that HAProxy sent to this replica, once they are closed.

        Raises:
            TimeoutError: the connections took too long.
        """
        if not self._over.wait(deadline.left(math.inf, but=_AFTER)):
            raise TimeoutError
        return self._came.get(name, set())


class FailedCount:
    """One replica's page of failed handshakes; it is first read before the connections."""

    def __init__(self, address: Address, name: str, moments: Moments, deadline: Deadline) -> None:
        """Read it for the first time, in the calling thread's network namespace."""
        self._address, self._name = address, name
        self._moments, self._deadline = moments, deadline
        self._before = value(self._page)
        moments.read(name)

    def reading(self) -> Reading[FailedHandshakes]:
        """Both pages without the lines they have in common.

        It waits for the end of the connections, then at most a second for their entries.
        """
        path = url(self._address, FAILED)
        first = self._before.value
        if first is None:
            return Reading(error=self._before.error, path=path)
        return replace(value(lambda: self._compared(first)), path=path)

    def _compared(self, first: str) -> FailedHandshakes:
        awaited = self._moments.await_over(self._name, self._deadline)
        end = time.monotonic() + self._deadline.left(_SHOWN)
        before = entries(first)
        while True:
            last = self._page()
            after = entries(last)
            shown = {line.rpartition("-")[0] for _, line in after - before}
            if awaited <= shown or time.monotonic() > end:
                break
            time.sleep(_POLL)
        same = before & after
        return FailedHandshakes(without(first, same), without(last, same))

    def _page(self) -> str:
        return page(self._address, FAILED, self._deadline, _FAILED)


def entries(page: str) -> set[tuple[str, str]]:
    """Each line of the page with the class that it belongs to."""
    found: set[tuple[str, str]] = set()
    under = ""
    for line in page.splitlines():
        if line.startswith("["):
            under = line
        else:
            found.add((under, line))
    return found


def without(page: str, same: set[tuple[str, str]]) -> str:
    """The page without these lines: the addresses of other clients stay on the machine."""
    kept: list[str] = []
    under = ""
    for line in page.splitlines():
        if line.startswith("["):
            under = line
        if line == under or (under, line) not in same:
            kept.append(line)
    return "\n".join(kept)


def series(listing: str, wanted: Callable[[str], bool]) -> dict[str, float]:
    """The series of a metrics page whose names are wanted; a line without a number is left out."""
    found: dict[str, float] = {}
    for line in listing.splitlines():
        name, _, number = line.rpartition(" ")
        if wanted(name):
            try:
                found[name] = float(number)
            except ValueError:
                continue
    return found


def of_user(listing: str, user: str) -> dict[str, float]:
    """The series of a metrics page that matter to this user's handshake."""

    def wanted(name: str) -> bool:
        plain = name.partition("{")[0]
        return plain in _COUNTED or (plain in _OF_USER and f'user="{user}"' in name)

    return series(listing, wanted)


def refusals(listing: str) -> dict[str, float]:
    """The counters of refusals on a metrics page, of all users together."""
    return series(listing, lambda name: name.partition("{")[0] in _REFUSED)


def metrics(address: Address, user: str, deadline: Deadline) -> dict[str, float]:
    """`of_user`, asked in the calling thread's network namespace.

    Raises:
        OSError, ValueError: there is no such page.
    """
    return of_user(page(address, METRICS, deadline, _METRICS), user)


def _refused(address: Address, deadline: Deadline) -> Reading[dict[str, float]]:
    found = value(lambda: refusals(page(address, METRICS, deadline, _METRICS)))
    return replace(found, path=url(address, METRICS))


def grown(before: Mapping[str, float], after: Mapping[str, float]) -> dict[str, float]:
    """By how much each counter grew; the gauges of a user as they stood before."""
    found = {
        name: number - before.get(name, 0.0)
        for name, number in after.items()
        if name.partition("{")[0] in _COUNTED and number > before.get(name, 0.0)
    }
    return found | {s: n for s, n in before.items() if s.partition("{")[0] in _OF_USER}


def active(address: Address, user: str, deadline: Deadline, auth: str) -> list[str]:
    """Addresses from which this user is connected, asked in the calling thread's namespace.

    Raises:
        OSError, ValueError: the API does not answer, or not with addresses.
    """
    return active_of(page(address, ACTIVE, deadline, _METRICS, auth), user)


def active_of(body: str, user: str) -> list[str]:
    """Addresses from which this user is connected, from Telemt's answer to ACTIVE.

    Raises:
        ValueError: the body is not such an answer.
    """
    try:
        rows = json.loads(body)["data"]
        return [str(ip) for row in rows if row["username"] == user for ip in row["active_ips"]]
    except (KeyError, TypeError) as problem:
        raise ValueError(f"no users in {body[:80]!r}") from problem
