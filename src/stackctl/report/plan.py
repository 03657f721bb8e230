"""A plan for people."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from stackctl.limits import TABLE, Value
from stackctl.plan import Plan, Requirement
from stackctl.report.jsontext import plain
from stackctl.report.words import heading, shown, targets


def plan_report(console: Console, plan: Plan) -> None:
    """Print sizes, requirements with where each is set, and warnings."""
    heading(console, plan)
    sizes = Table(box=box.SIMPLE_HEAD, pad_edge=False, show_header=False)
    for label, value in size_rows(plan):
        sizes.add_row(label, value)
    console.print(sizes)
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


def size_rows(plan: Plan) -> list[tuple[str, str]]:
    """The sizes in words and figures."""
    s = plan.sizes
    return [
        ("HAProxy", f"{plan.haproxy_image}, maxconn {s.global_maxconn}, {s.threads} threads"),
        (
            "each Telemt",
            f"{plan.telemt_image}, max_connections {s.telemt_max_connections}, "
            f"given up to {s.server_maxconn}",
        ),
        ("descriptors", f"HAProxy {s.haproxy_descriptors}, each Telemt {s.telemt_descriptors}"),
        (
            "source ports",
            "none needed (unix links)"
            if plan.link == "unix"
            else f"{s.ports_per_link} for each link",
        ),
        ("conntrack entries", f"about {s.conntrack_entries}"),
        (
            "memory, all idle",
            f"HAProxy {s.haproxy_bytes >> 20} MiB, kernel "
            f"{s.kernel_bytes >> 20} MiB, Telemt's own beside it",
        ),
        ("addresses", f"{plan.subnet}; clients at {plan.listen_host or '*'}:{plan.listen_port}"),
    ]


def plan_document(plan: Plan) -> dict[str, Any]:
    """The object of `plan --json`."""
    data = asdict(plan)
    for requirement in data["requirements"]:
        requirement["wanted"] = plain(requirement["wanted"])
        for written in requirement["written"]:
            written["value"] = plain(written["value"])
    return data
