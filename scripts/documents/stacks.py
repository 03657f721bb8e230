"""The shipped stack files: the values of each, and its notes beyond the model's descriptions."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from stackctl.spec.template import HEADER, stack_text, starter

SCHEMA = "../src/stackctl/schema/stack.schema.json"


@dataclass(frozen=True, slots=True)
class Shipped:
    """One file of stack/.

    Attributes:
        file: its name.
        values: the values that it sets, by dotted keys.
        header: what the file is for.
        notes: notes on keys, beyond their descriptions.
    """

    file: str
    values: Mapping[str, Any]
    header: str = HEADER
    notes: Mapping[str, str] = field(default_factory=dict)

    def text(self) -> str:
        """The file."""
        return stack_text(self.values, SCHEMA, self.header, self.notes)


LAB = Shipped("lab.yaml", {**starter("lab", 8000, 2), "telemt.datacentre": "lab"})

DEMO = Shipped(
    "demo.yaml",
    {
        **starter("demo", 8000, 4),
        "listen": 8453,
        "metrics": 9102,
        "per_address.connections": 6000,
        "per_address.rate": 60000,
        "per_user.connections": 4000,
        "per_user.addresses": 1000,
        "telemt.modes": ["classic", "secure", "tls"],
        "telemt.datacentre": "lab",
    },
    """\
The whole path on one machine, without the internet: clients, HAProxy, four replicas, a data centre
that stands in for Telegram's, a fallback site, and metrics. `make demo` starts and probes it.
""",
    {
        "metrics": "Try `curl http://127.0.0.1:9102/metrics`, and /telemt-1/metrics to "
        "/telemt-4/metrics.",
    },
)

_NOT_FOR_PRODUCTION = ("buffers", "telemt.modes", "telemt.datacentre", "telemt.mask")

PRODUCTION = Shipped(
    "production.yaml",
    {
        **{
            key: value
            for key, value in starter("production", 250_000, 8).items()
            if key not in _NOT_FOR_PRODUCTION
        },
        "network": "host",
        "listen": 443,
        "per_address.connections": 10_000,
        "per_address.rate": 20_000,
        "limits.mode": "strict",
        "haproxy.source": "official",
        "telemt.source": "official",
        "telemt.public_host": "proxy.example.com",
    },
    """\
A quarter of a million clients on one server. Copy this file, then change what is marked CHANGE.
Prepare the server first: `stackctl host apply --ssh root@SERVER`. Until then it cannot grant these
limits, and strict mode starts nothing.
""",
    {
        "telemt.domain": "CHANGE: choose your own site.",
        "telemt.public_host": "CHANGE: write the address or name of this server, as clients use "
        "it.",
    },
)

SHIPPED = (LAB, DEMO, PRODUCTION)
