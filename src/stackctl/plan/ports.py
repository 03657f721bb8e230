"""Fixed ports and paths inside the stack. None of the ports is published."""

from __future__ import annotations

TELEMT_PORT = 9443
"""Port of Telemt's first listener on TCP links; further ones follow it (`link_ports`). They lie
below the local port range, so that no outgoing connection takes them first."""

API_PORT = 9091
METRICS_PORT = 9090
HEALTH_PORT = 8404
SCRAPE_PORT = 8405
"""HAProxy serves all metrics here; it is published where stack.yaml says so."""

HARD_STOP_SECONDS = 30
"""HAProxy's hard-stop-after."""

HAPROXY_GRACE_SECONDS = 35
"""Above HARD_STOP_SECONDS, so that the engine never has to kill."""

TELEMT_GRACE_SECONDS = 30
"""Telemt takes up to 12 s to cancel its sessions."""

HEALTH_INTERVAL_SECONDS = 2
"""Seconds between two health checks: short, so that a lab is up as soon as it can be."""

LARGE = 20_000
"""Above so many connections a stack is built to run long, not to be up soon."""

HEALTH_INTERVAL_SECONDS_LARGE = 10
"""The same for a large stack. The engine starts three processes for each check, 65 ms of a core
(measured, Docker 20.10): with ten containers and a check every 2 s that is a third of a core,
always."""

HEALTH_TIMEOUT_SECONDS = 30
"""Long enough for a machine that is busy with clients reconnecting after a boot. HAProxy's own
checks take a replica out, not these."""

DATACENTRE_PORT = 8888
"""The lab data centre's obfuscated transport."""

SITE_PORT = 8443
"""The lab's fallback site, which fake TLS pretends to be."""

STATUS_PORT = 8080
"""The lab data centre's status page, with its count of sessions."""

STATE_PATH = "/home/nonroot"
"""Where a replica keeps state. A new volume takes its owner from the image's folder at this path,
and Telemt's official image has no other folder that belongs to its user."""

SOCKET_PATH = "/run/telemt/telemt.sock"
"""Telemt's listener on unix links, as its own container sees it."""

USERS_PATH = "/run/telemt-users/users.toml"
"""The secrets of the API and of the users, as a replica's container sees them."""
