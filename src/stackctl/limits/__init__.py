"""The limits table: every knob of Telemt's high-load guide, one frozen row each.

These rows drive everything else: what stack.yaml may override, what the plan requires, what the
renderers write and what verification reads. A new limit is one row, in the file of its section of
the guide.
"""

from __future__ import annotations

from stackctl.limits import buffers, conntrack, descriptors, network, proxy
from stackctl.limits.model import (
    HOST_PLACES,
    INFINITY,
    Compare,
    Depth,
    Kind,
    Limit,
    Place,
    Read,
    Reader,
    Role,
    Scope,
    Setting,
    Value,
)

TABLE: dict[str, Limit] = {
    row.key: row
    for row in (
        *descriptors.ROWS,
        *network.ROWS,
        *conntrack.ROWS,
        *proxy.ROWS,
        *buffers.ROWS,
    )
}

__all__ = [
    "HOST_PLACES",
    "INFINITY",
    "TABLE",
    "Compare",
    "Depth",
    "Kind",
    "Limit",
    "Place",
    "Read",
    "Reader",
    "Role",
    "Scope",
    "Setting",
    "Value",
]
