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

HEALTH_INTERVAL_SECONDS = 2
"""From the end of a health check to the next one: a lab is up as soon as it can be."""

LARGE = 20_000
"""Connections above which a stack is up for long rather than soon."""

HEALTH_INTERVAL_SECONDS_LARGE = 10
"""The same for a large stack. The engine starts three processes for each check, 65 ms of a core
(measured, Docker 20.10): every 2 s in ten containers is a third of a core for good."""

HEALTH_TIMEOUT_SECONDS = 30
"""Long enough for a machine that is busy with everyone who reconnects after a boot. HAProxy's own
checks, and not these, take a replica out."""

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
