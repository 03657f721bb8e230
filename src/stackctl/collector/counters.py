"""What a replica counts about handshakes, and which users it runs with."""

from __future__ import annotations

import hashlib
import hmac
import json
import re
import tomllib
from collections.abc import Mapping

from stackctl.collector import api, procs
from stackctl.collector.reading import MAX_TEXT, Deadline, failure, read_text

ACTIVE = "/v1/stats/users/active-ips"
"""Path of the addresses from which users are connected."""

MOST = 16 << 20
"""Bytes of an answer: 250,000 addresses at 20 bytes, and room."""

_INCLUDE = re.compile(r'^include\s*=\s*"([^"]+)"\s*$', re.MULTILINE)
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


def parse(page: str, user: str) -> dict[str, float]:
    """The series of a metrics page that say something about this user's handshake."""
    found: dict[str, float] = {}
    for line in page.splitlines():
        series, _, number = line.rpartition(" ")
        name = series.partition("{")[0]
        if name in _COUNTED or (name in _OF_USER and f'user="{user}"' in series):
            try:
                found[series] = float(number)
            except ValueError:
                continue
    return found


def metrics(address: tuple[str, int], user: str, deadline: Deadline) -> dict[str, float]:
    """The same, asked in the calling thread's namespace.

    Raises:
        OSError, ValueError: there is no such page.
    """
    status, body = api.parse(api.get(address, "/metrics", deadline, MOST))
    if status != 200:
        raise ValueError(f"status {status}")
    return parse(body, user)


def totals(page: str) -> dict[str, float]:
    """The counters of refusals on a metrics page, whoever they were refused to."""
    found: dict[str, float] = {}
    for line in page.splitlines():
        series, _, number = line.rpartition(" ")
        if series.partition("{")[0] in _REFUSED:
            try:
                found[series] = float(number)
            except ValueError:
                continue
    return found


def refused(address: tuple[str, int], deadline: Deadline) -> dict[str, object]:
    """The same as a reading, asked in the calling thread's namespace."""
    try:
        status, body = api.parse(api.get(address, "/metrics", deadline, MOST))
        if status != 200:
            raise ValueError(f"status {status}")
        return {"value": totals(body)}
    except (OSError, ValueError) as problem:
        return dict(failure(problem))


def active(body: str, user: str) -> list[str]:
    """Addresses from which this user is connected, of Telemt's answer to ACTIVE.

    Raises:
        ValueError: it is not that answer.
    """
    try:
        rows = json.loads(body)["data"]
        return [str(ip) for row in rows if row["username"] == user for ip in row["active_ips"]]
    except (KeyError, TypeError) as problem:
        raise ValueError(f"no users in {body[:80]!r}") from problem


class Running:
    """What a live replica was told about users. What is secret in it never leaves the probe.

    Attributes:
        users: for each of the operator's users "same", "other" (another secret) or "none" (no such
            user), as digests compare; or "error" where the files cannot be read.
        most: connections that a user may have; users without a limit are left out.
    """

    def __init__(self, pid: int, path: str, ours: Mapping[str, str]) -> None:
        """Read its configuration inside the root of the process, with the files it includes."""
        self.users: dict[str, str] = {}
        self.most: dict[str, int] = {}
        try:
            access = tomllib.loads(_whole(pid, path))["access"]
            theirs = access["users"]
            self.users = {who: _compared(secret, theirs.get(who)) for who, secret in ours.items()}
            every = int(access.get("user_max_tcp_conns_global_each", 0))
            limits = access.get("user_max_tcp_conns", {})
            most = {who: int(limits.get(who, 0)) or every for who in ours}
            self.most = {who: number for who, number in most.items() if number}
        except (OSError, ValueError, LookupError, TypeError, AttributeError) as problem:
            # A parser's words may quote what it could not read.
            known = isinstance(problem, OSError)
            words = failure(problem)["error"] if known else "not a configuration with users"
            self.users = {"error": f"{path}: {words}"}


def _whole(pid: int, path: str) -> str:
    """A configuration's text with what it includes in place of the lines that say so."""

    def read(name: str) -> str:
        text = read_text(procs.inside(pid, name))
        if len(text) >= MAX_TEXT:
            raise ValueError(f"larger than {MAX_TEXT} bytes")
        return text

    return _INCLUDE.sub(lambda match: read(match[1]), read(path))


def _compared(ours: str, theirs: object) -> str:
    if not isinstance(theirs, str):
        return "none"
    digests = (hashlib.sha256(text.lower().encode()).digest() for text in (ours, theirs))
    return "same" if hmac.compare_digest(*digests) else "other"


def grown(before: Mapping[str, float], after: Mapping[str, float]) -> dict[str, float]:
    """By how much each counter grew; the gauges of a user as they stood before."""
    found = {
        series: value - before.get(series, 0.0)
        for series, value in after.items()
        if series.partition("{")[0] in _COUNTED and value > before.get(series, 0.0)
    }
    return found | {s: v for s, v in before.items() if s.partition("{")[0] in _OF_USER}
