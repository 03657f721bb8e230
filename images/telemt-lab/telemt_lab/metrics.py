"""The metrics port: counters for Prometheus, and the page of failed handshakes.

Telemt calls that page /beobachten (German for "to observe"): each address that failed a handshake,
how often, and in which way. stackctl reads there which client address a replica saw.
"""

import time
from collections import Counter, defaultdict
from collections.abc import Callable, Mapping
from http import HTTPStatus

from . import VERSION
from .document import Network, contains
from .http_server import Request, Response
from .users import User, Users

_BUILD = {f'version="{VERSION}",double="true"': 1}


class Counters:
    """Counters since the start, with Telemt's names; only those that the stack reads."""

    def __init__(self) -> None:
        self._started = time.monotonic()
        self.connections = 0
        self.permit_timeouts = 0
        self.bad: Counter[str] = Counter()
        self.handshake_timeouts = 0
        self.handshake_failures: Counter[str] = Counter()
        self.upstream_successes = 0
        self.upstream_failures = 0

    def render(self, users: Users) -> str:
        """Return the metrics page in Prometheus' text format."""
        return "".join(
            [
                _metric("build_info", "gauge", "What is running", _BUILD),
                _metric("uptime_seconds", "gauge", "Since the start", {"": self._uptime_s()}),
                _metric("connections_total", "counter", "Accepted", {"": self.connections}),
                _metric("connections_bad_total", "counter", "Refused", {"": self.bad.total()}),
                _metric(
                    "connections_bad_by_class_total",
                    "counter",
                    "Refused, by reason",
                    {f'class="{name}"': total for name, total in sorted(self.bad.items())},
                ),
                _metric(
                    "accept_permit_timeout_total",
                    "counter",
                    "Dropped at server.max_connections",
                    {"": self.permit_timeouts},
                ),
                _metric(
                    "handshake_timeouts_total",
                    "counter",
                    "Handshakes not complete in time",
                    {"": self.handshake_timeouts},
                ),
                _metric(
                    "handshake_failures_by_class_total",
                    "counter",
                    "Handshakes ended, by reason",
                    {f'class="{name}"': n for name, n in sorted(self.handshake_failures.items())},
                ),
                _metric(
                    "upstream_connect_success_total",
                    "counter",
                    "Connections to data centres",
                    {"": self.upstream_successes},
                ),
                _metric(
                    "upstream_connect_fail_total",
                    "counter",
                    "Data centres not reached",
                    {"": self.upstream_failures},
                ),
                *_users(users),
            ]
        )

    def _uptime_s(self) -> float:
        return round(time.monotonic() - self._started, 1)


def _users(users: Users) -> list[str]:
    """Return the metrics that each user has."""
    all_users = tuple(users)
    for user in all_users:
        users.prune(user)

    def each(name: str, kind: str, meaning: str, value: Callable[[User], float]) -> str:
        values = {f'user="{_escape(user.entry.name)}"': value(user) for user in all_users}
        return _metric(f"user_{name}", kind, meaning, values)

    return [
        each("connections_total", "counter", "Sessions relayed", lambda user: user.total),
        each("connections_current", "gauge", "Sessions now", lambda user: user.connections),
        each("octets_from_client", "counter", "Bytes received", lambda user: user.from_client),
        each("octets_to_client", "counter", "Bytes sent", lambda user: user.to_client),
        each("unique_ips_current", "gauge", "Addresses now", lambda user: len(user.active)),
        each(
            "unique_ips_recent_window", "gauge", "Addresses of late", lambda user: len(user.recent)
        ),
        each("unique_ips_limit", "gauge", "Most addresses, 0 is any", lambda u: u.entry.addresses),
    ]


def _metric(name: str, kind: str, meaning: str, values: Mapping[str, float]) -> str:
    lines = [f"# HELP telemt_{name} {meaning}", f"# TYPE telemt_{name} {kind}"]
    for labels, value in values.items():
        braces = f"{{{labels}}}" if labels else ""
        lines.append(f"telemt_{name}{braces} {value}")
    return "\n".join(lines) + "\n"


def _escape(label: str) -> str:
    return label.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")


BROKEN_OFF = "expected_64_got_0"
OTHER = "other"

# As many entries as Telemt keeps; beyond that a new address is not counted.
_MOST = 65_536


class FailedHandshakes:
    """Counters by class and address; each is forgotten that many minutes after its last failure."""

    def __init__(self, minutes: int) -> None:
        """minutes 0 counts nothing."""
        self._ttl_s = minutes * 60
        # Oldest first: an address that fails again moves to the end.
        self._entries: dict[tuple[str, str], tuple[int, float]] = {}

    def record(self, kind: str, host: str) -> None:
        """Count a failure of an address."""
        if not self._ttl_s:
            return
        self._forget()
        tries, _ = self._entries.pop((kind, host), (0, 0.0))
        if tries or len(self._entries) < _MOST:
            self._entries[kind, host] = (tries + 1, time.monotonic())

    def render(self) -> str:
        """Return the page: each class in brackets, then its addresses, most failures first."""
        if not self._ttl_s:
            return "beobachten disabled\n"
        self._forget()
        classes: defaultdict[str, list[tuple[int, str]]] = defaultdict(list)
        for (kind, host), (tries, _) in self._entries.items():
            classes[kind].append((-tries, host))
        lines = []
        for kind, found in sorted(classes.items()):
            lines.append(f"[{kind}]\n")
            lines += [f"{host}-{-tries}\n" for tries, host in sorted(found)]
        return "".join(lines) or "empty\n"

    def _forget(self) -> None:
        oldest = time.monotonic() - self._ttl_s
        while self._entries:
            entry = next(iter(self._entries))
            if self._entries[entry][1] >= oldest:
                break
            del self._entries[entry]


class Metrics:
    """GET /metrics and /beobachten for peers on the whitelist; an empty whitelist admits
    everyone."""

    def __init__(
        self,
        counters: Counters,
        failed_handshakes: FailedHandshakes,
        users: Users,
        whitelist: tuple[Network, ...],
    ) -> None:
        self._counters = counters
        self._failed_handshakes = failed_handshakes
        self._users = users
        self._whitelist = whitelist

    def answer(self, request: Request) -> Response | None:
        """Return the page, 404 for another path, or None where the peer gets no answer."""
        if self._whitelist and not contains(self._whitelist, request.peer):
            return None
        if request.path == "/beobachten":
            page = self._failed_handshakes.render().encode()
            return Response(HTTPStatus.OK, "text/plain; charset=utf-8", page)
        if request.path != "/metrics":
            return Response(HTTPStatus.NOT_FOUND, "text/plain; charset=utf-8", b"Not Found\n")
        page = self._counters.render(self._users).encode()
        return Response(HTTPStatus.OK, "text/plain; version=0.0.4; charset=utf-8", page)
