"""Arithmetic of capacity: what a number of connections needs, and what what is granted carries."""

from __future__ import annotations

from stackctl.capacity.predict import MEMORY, Budget, Ceiling, Granted, budgets, predict
from stackctl.capacity.sizes import (
    ADMIN_RESERVE,
    CONNTRACK_ENTRIES,
    HAPROXY_BYTES,
    HAPROXY_FORMER_WORKERS,
    KERNEL_BYTES,
    PORT_SHARE,
    SKEW,
    TELEMT_FIXED_DESCRIPTORS,
    Sizes,
    fair_share,
    haproxy_descriptors,
    link_ports_for,
    replica_share,
    server_maxconn_within,
    size,
    telemt_cap,
    telemt_descriptors,
    threads_for,
    usable_ports,
)

__all__ = [
    "ADMIN_RESERVE",
    "CONNTRACK_ENTRIES",
    "HAPROXY_BYTES",
    "HAPROXY_FORMER_WORKERS",
    "KERNEL_BYTES",
    "MEMORY",
    "PORT_SHARE",
    "SKEW",
    "TELEMT_FIXED_DESCRIPTORS",
    "Budget",
    "Ceiling",
    "Granted",
    "Sizes",
    "budgets",
    "fair_share",
    "haproxy_descriptors",
    "link_ports_for",
    "predict",
    "replica_share",
    "server_maxconn_within",
    "size",
    "telemt_cap",
    "telemt_descriptors",
    "threads_for",
    "usable_ports",
]
