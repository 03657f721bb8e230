"""A plan for people."""

from __future__ import annotations

from dataclasses import asdict
from math import ceil
from typing import Any

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from stackctl.limits import TABLE, Value
from stackctl.plan import Plan, Requirement
from stackctl.plan.predict import Ceiling
from stackctl.plan.stalled import per_gib, speed
from stackctl.report.jsontext import plain
from stackctl.report.words import heading, shown, targets


def plan_report(console: Console, plan: Plan) -> None:
    """Print sizes, requirements with where each is set, and warnings."""
    heading(console, plan)
    sizes = Table(box=box.SIMPLE_HEAD, pad_edge=False, show_header=False)
    for label, value in size_rows(plan):
        sizes.add_row(label, value)
    console.print(sizes)
    _ceilings(console, plan)
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for column in ("limit", "guide", "wanted", "on", "set in"):
        table.add_column(column, overflow="fold")
    groups: dict[tuple[str, Value, str], list[Requirement]] = {}
    for r in plan.requirements:
        places = ", ".join(dict.fromkeys(w.place.value for w in r.written)) or "only observed"
        groups.setdefault((r.limit, r.wanted, places), []).append(r)
    for (_, _, places), group in groups.items():
        first = group[0]
        table.add_row(
            first.limit,
            TABLE[first.limit].guide or "-",
            shown(first.wanted) + (" (stack.yaml)" if first.chosen else ""),
            targets(r.target for r in group),
            places,
        )
    console.print(table)
    for warning in plan.warnings:
        console.print(Text(f"warning: {warning}", "yellow"))


NEXT_CEILINGS = 5
"""How many ceilings are shown; --json has all."""


def _ceilings(console: Console, plan: Plan) -> None:
    """The limit that the stack meets first, and those that it would meet next."""
    lowest = plan.ceilings[0]
    style = "bold" if lowest.holds >= plan.connections else "bold yellow"
    console.print(Text(holds_sentence(plan), style))
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for column, justify in (("holds", "right"), ("limit", "left"), ("on", "left")):
        table.add_column(column, justify=justify)  # type: ignore[arg-type]
    table.add_column("what the next client sees", overflow="fold")
    for c in plan.ceilings[:NEXT_CEILINGS]:
        table.add_row(connections_held(c), c.limit, c.where, c.cause)
    console.print(table)


def holds_sentence(plan: Plan) -> str:
    """How many connections the stack holds, and the limit that it meets first."""
    lowest = plan.ceilings[0]
    return (
        f"holds: {lowest.holds} connections; first limit: {lowest.limit} of {lowest.where} "
        f"at {connections_held(lowest)}"
    )


def connections_held(c: Ceiling) -> str:
    """A ceiling's number; two where a hash of addresses spreads the clients unevenly."""
    return str(c.holds) if c.least == c.holds else f"{c.least} to {c.holds}"


def size_rows(plan: Plan) -> list[tuple[str, str]]:
    """The sizes in words and figures."""
    s = plan.sizes
    return [
        ("HAProxy", f"{plan.haproxy_image}, maxconn {s.global_maxconn}, {s.threads} threads"),
        (
            "each Telemt",
            f"{plan.telemt_image}, max_connections {s.telemt_max_connections}, "
            f"HAProxy sends it up to {s.server_maxconn}",
        ),
        (
            "descriptors",
            f"HAProxy {s.haproxy_descriptors}"
            + (f" ({2 * s.pipes} of them pipes)" if s.pipes else "")
            + f", each Telemt {s.telemt_descriptors}",
        ),
        (
            "source ports",
            "none needed (unix links)" if plan.link == "unix" else _link_ports(plan),
        ),
        ("conntrack entries", f"{s.conntrack_entries} in the fullest namespace, the host's"),
        (
            "memory, all idle",
            f"HAProxy {s.haproxy_bytes >> 20} MiB, kernel "
            f"{s.kernel_bytes >> 20} MiB, and Telemt's own memory",
        ),
        ("a client that stops reading", _stalled(plan)),
        ("speed of one connection", _speed(plan)),
        ("addresses", f"{plan.subnet}; clients at {plan.listen_host or '*'}:{plan.listen_port}"),
    ]


def _link_ports(plan: Plan) -> str:
    usable = plan.sizes.ports_per_link
    used = plan.connections / len(plan.replicas)
    ports = plan.sizes.link_ports
    to = f", over {ports} ports of its replica" if ports > 1 else ""
    return f"{usable} for each link{to}; {ceil(used)} used ({used * 100 / usable:.1f} %)"


def _stalled(plan: Plan) -> str:
    s = plan.stalled
    link = f", the link {s.link >> 10}" if s.link else ""
    return (
        f"pins up to {s.total >> 10} KiB: HAProxy {(s.client + s.haproxy) >> 10}{link}, its "
        f"replica {s.replica >> 10}; {per_gib(s.total)} such clients fill a GiB "
        f"(buffers: {plan.buffers})"
    )


def _speed(plan: Plan) -> str:
    each = "; ".join(
        f"{speed(plan.stalled.window, ms) / 1e6:.2f} MB/s at {ms} ms" for ms in (50, 200)
    )
    density = plan.buffers == "density"
    bound = "the buffers allow at least " if density else "the buffers set no bound below "
    return f"{bound}{each} round trip to the client"


def plan_document(plan: Plan) -> dict[str, Any]:
    """The object of `plan --json`."""
    data = asdict(plan)
    for requirement in data["requirements"]:
        requirement["wanted"] = plain(requirement["wanted"])
        for written in requirement["written"]:
            written["value"] = plain(written["value"])
    return data
