"""The counters, and their text for Prometheus."""

import time
from collections import Counter
from collections.abc import Mapping

from . import VERSION

_BUILD = {f'version="{VERSION}",double="true"': 1}
_NO_UPSTREAM = "Always 0 here, the double connects nowhere"


class Counters:
    """What happened since the start. Telemt's names; only what the stack looks at."""

    def __init__(self) -> None:
        self._started = time.monotonic()
        self.connections = 0
        self.permit_timeouts = 0
        self.bad: Counter[str] = Counter()

    def render(self, users: tuple[str, ...]) -> str:
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
                    "user_connections_current",
                    "gauge",
                    "Sessions of a user; 0 here, the double authenticates nobody",
                    {f'user="{_escape(user)}"': 0 for user in users},
                ),
                _metric("upstream_connect_success_total", "counter", _NO_UPSTREAM, {"": 0}),
                _metric("upstream_connect_fail_total", "counter", _NO_UPSTREAM, {"": 0}),
            ]
        )

    def _uptime_s(self) -> float:
        return round(time.monotonic() - self._started, 1)


def _metric(name: str, kind: str, meaning: str, values: Mapping[str, float]) -> str:
    lines = [f"# HELP telemt_{name} {meaning}", f"# TYPE telemt_{name} {kind}"]
    for labels, value in values.items():
        braces = f"{{{labels}}}" if labels else ""
        lines.append(f"telemt_{name}{braces} {value}")
    return "\n".join(lines) + "\n"


def _escape(label: str) -> str:
    return label.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
