"""The order to one process and its answers, as lines of JSON. Pure."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

from stackctl.traffic.histogram import Histogram
from stackctl.traffic.model import Load, LoadPlan, Tally

if TYPE_CHECKING:
    from stackctl.mtproto.model import Secret

GO, HOLD = b"go", b"hold"
"""Words a process waits for: `go` when all processes are ready, `hold` when all have opened."""


@dataclass(frozen=True, slots=True)
class Order:
    """One process's work.

    Attributes:
        load: the whole load, with this process's share of its connections and rate.
        secrets: secrets to show the proxy, in turn; never shown by repr.
        seed: seed of the nonces of this load.
    """

    load: Load
    first: int
    host: str
    port: int
    domain: str
    sources: tuple[str, ...]
    open_seconds: float
    secrets: tuple[Secret, ...] = field(default=(), repr=False)
    seed: bytes = field(default=b"", repr=False)


def orders(plan: LoadPlan, secrets: Sequence[Secret], seed: bytes) -> tuple[Order, ...]:
    """The order of each process of a plan."""
    made = []
    for share in plan.shares:
        part = share.connections / plan.load.connections
        load = {**asdict(plan.load), "connections": share.connections}
        made.append(
            Order(
                load=Load(**{**load, "rate": plan.load.rate * part}),
                first=share.first,
                host=plan.target.host,
                port=plan.target.port,
                domain=plan.target.domain,
                sources=plan.sources,
                open_seconds=plan.open_seconds,
                secrets=tuple(secrets),
                seed=seed,
            )
        )
    return tuple(made)


def dump_order(order: Order) -> bytes:
    """An order as one line. It holds secrets, so it goes through a pipe, never into a file."""
    secrets = [[s.mode, s.key.hex(), s.domain] for s in order.secrets]
    plain = asdict(order) | {"secrets": secrets, "seed": order.seed.hex()}
    return json.dumps(plain, separators=(",", ":")).encode() + b"\n"


def load_order(line: bytes) -> Order:
    """The order of a line."""
    plain: dict[str, Any] = json.loads(line)
    secrets: list[Secret] = []
    if plain["secrets"]:
        from stackctl.mtproto.model import Secret

        secrets += (Secret(mode, bytes.fromhex(key), site) for mode, key, site in plain["secrets"])
    return Order(
        **{
            **plain,
            "load": Load(**plain["load"]),
            "sources": tuple(plain["sources"]),
            "secrets": tuple(secrets),
            "seed": bytes.fromhex(plain["seed"]),
        }
    )


def dump_tally(tally: Tally) -> dict[str, Any]:
    """A tally in a form for JSON."""
    counts = {
        name: getattr(tally, name) for name in Tally.__slots__ if name not in {"connect", "trips"}
    }
    return {**counts, "connect": tally.connect.dump(), "trips": tally.trips.dump()}


def load_tally(plain: dict[str, Any]) -> Tally:
    """The tally of a `dump_tally`."""
    histograms = {name: Histogram.load(plain[name]) for name in ("connect", "trips")}
    return Tally(**{**plain, **histograms})
