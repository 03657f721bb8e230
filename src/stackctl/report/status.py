"""A stack's state for people and machines."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from stackctl.report.words import TELEMT_WORDS

if TYPE_CHECKING:
    from stackctl.operate.status import Status


def status_report(console: Console, status: Status) -> None:
    """One line for each container."""
    if not status.containers:
        console.print(f"{status.name}: not running; start it with `stackctl up`")
        return
    telemt = status.containers[0].labels.get("io.stackctl.telemt", "")
    console.print(Text(f"telemt: {TELEMT_WORDS.get(telemt, 'unknown')}"))
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for column in ("target", "container", "state", "health", "haproxy sees", "sessions"):
        table.add_column(column)
    for c in status.containers:
        row = status.servers.get(c.target, {})
        table.add_row(
            c.target,
            c.name,
            c.status,
            c.health or "-",
            " ".join(filter(None, (row.get("status"), row.get("check_status")))) or "-",
            row.get("scur", "-"),
        )
    console.print(table)
    missing = status.replicas + status.others - len(status.containers)
    if missing > 0:
        console.print(Text(f"{missing} containers are missing: `stackctl up`", "bold red"))


def status_document(status: Status) -> dict[str, Any]:
    """The object of `status --json`."""
    return {
        "stack": status.name,
        "containers": [
            {
                "target": c.target,
                "name": c.name,
                "state": c.status,
                "health": c.health,
                "pid": c.pid,
                "started": c.started,
                "telemt": c.labels.get("io.stackctl.telemt", ""),
                "haproxy": {
                    key: status.servers.get(c.target, {}).get(key, "")
                    for key in ("status", "check_status", "scur", "slim")
                }
                if c.target in status.servers
                else None,
            }
            for c in status.containers
        ],
        "exit": int(status.exit_status),
    }
