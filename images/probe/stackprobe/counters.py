"""What a replica counts about handshakes, and which users it runs with."""

from __future__ import annotations

import hashlib
import hmac
import json
import tomllib
from collections.abc import Mapping

from stackprobe import api, procs
from stackprobe.reading import MAX_TEXT, Deadline, failure, read_text

ACTIVE = "/v1/stats/users/active-ips"
"""Path of the addresses from which users are connected."""

MOST = 16 << 20
"""Bytes of an answer: 250,000 addresses at 20 bytes, and room."""

_COUNTED = (
    "telemt_connections_bad_by_class_total",
    "telemt_handshake_failures_by_class_total",
    "telemt_upstream_connect_fail_total",
    "telemt_upstream_connect_attempt_total",
    "telemt_upstream_connect_failfast_hard_error_total",
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
    """The users' file of a live replica. What is secret in it never leaves the probe.

    Attributes:
        users: for each of the operator's users "same", "other" (another secret) or "none" (no such
            user), as digests compare; or "error" where the file cannot be read.
        authorization: what the replica's API wants to be shown; "" for nothing.
    """

    def __init__(self, pid: int, path: str, ours: Mapping[str, str]) -> None:
        """Read it inside the root of the process."""
        self.users: dict[str, str] = {}
        self.authorization = ""
        try:
            text = read_text(procs.inside(pid, path))
            if len(text) >= MAX_TEXT:
                raise ValueError(f"larger than {MAX_TEXT} bytes")
            document = tomllib.loads(text)
            theirs = document["access"]["users"]
            self.users = {
                user: _compared(secret, theirs.get(user)) for user, secret in ours.items()
            }
            shown = document.get("server", {}).get("api", {}).get("auth_header", "")
            self.authorization = str(shown)
        except (OSError, ValueError, LookupError, TypeError, AttributeError) as problem:
            # A parser's words may quote what it could not read.
            known = isinstance(problem, OSError)
            words = failure(problem)["error"] if known else "it is no file of users"
            self.users = {"error": f"{path}: {words}"}


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
