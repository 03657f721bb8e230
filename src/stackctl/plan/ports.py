"""Fixed ports and paths inside the stack; none of the ports is published."""

from __future__ import annotations

TELEMT_PORT = 9443
"""Telemt's listener on TCP links; outside the local port range, so nothing takes it first."""

API_PORT = 9091
METRICS_PORT = 9090
HEALTH_PORT = 8404

HARD_STOP_SECONDS = 30
"""HAProxy's hard-stop-after."""

HAPROXY_GRACE_SECONDS = 35
"""Above HARD_STOP_SECONDS, so that the engine never has to kill."""

TELEMT_GRACE_SECONDS = 30
"""Telemt takes up to 12 s to cancel its sessions."""

SOCKET_PATH = "/run/telemt/telemt.sock"
"""Telemt's listener on unix links, as its own container sees it."""
