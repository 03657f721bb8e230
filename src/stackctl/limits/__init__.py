"""The limits table: one frozen row for each knob.

Every knob of Telemt's high-load guide has a row. So has each that the guide does not name and the
stack needs all the same; there `guide` is empty, and `departs` begins with "Not in the guide".

These rows drive everything else: what stack.yaml may override, what the plan requires, what the
renderers write and what verification reads. A new limit is one row, in the file of its subject:
`descriptors.py` (section 1 of the guide: descriptors, processes), `network.py` (2: sysctls of the
network), `conntrack.py` (3), `proxy.py` (4: HAProxy and Telemt), and `buffers.py` for what
`buffers: density` adds.
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
