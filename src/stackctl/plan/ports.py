"""Fixed ports and paths inside the stack; none of the ports is published."""

from __future__ import annotations

TELEMT_PORT = 9443
"""Telemt's first listener on TCP links, others follow it (`link_ports`); below the local port
range, so nothing takes them first."""

API_PORT = 9091
METRICS_PORT = 9090
HEALTH_PORT = 8404
SCRAPE_PORT = 8405
"""Metrics of everything, as HAProxy hands them out; published where stack.yaml says so."""

HARD_STOP_SECONDS = 30
"""HAProxy's hard-stop-after."""

HAPROXY_GRACE_SECONDS = 35
"""Above HARD_STOP_SECONDS, so that the engine never has to kill."""

TELEMT_GRACE_SECONDS = 30
"""Telemt takes up to 12 s to cancel its sessions."""

DATACENTRE_PORT = 8888
"""The lab data centre's obfuscated transport."""

SITE_PORT = 8443
"""The lab's site, which fake TLS pretends to be and strangers are passed on to."""

STATUS_PORT = 8080
"""The lab data centre's count of sessions."""

STATE_PATH = "/home/nonroot"
"""Where a replica keeps state. A new volume takes its owner from the image's own folder there, and
Telemt's official image has no other that belongs to its user."""

SOCKET_PATH = "/run/telemt/telemt.sock"
"""Telemt's listener on unix links, as its own container sees it."""

USERS_PATH = "/run/telemt-users/users.toml"
"""The secrets of the API and of the users, as a replica's container sees them."""
