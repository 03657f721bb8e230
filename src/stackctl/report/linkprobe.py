"""A probe of a link for people and machines. Nothing here has seen the secret."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from stackctl.handshake.cause import Cause
from stackctl.handshake.link_model import AddressProbe, LinkProbe, exit_status
from stackctl.report.words import printable

HOPS = {
    "resolve": "name resolved",
    "connect": "TCP connect",
    "tls": "fake-TLS flight verified",
    "answer": "first answer (resPQ)",
}


def linkprobe_report(console: Console, probe: LinkProbe) -> None:
    """Print each hop of each address, then what failed, why, and what to do."""
    domain = f", domain {probe.domain}" if probe.domain else ""
    head = f"{probe.host} port {probe.port}, mode {probe.mode}{domain}, data centre {probe.dc}"
    console.print(Text(printable(head), "bold"))
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    table.add_column("address", no_wrap=True)
    table.add_column("hop", no_wrap=True)
    table.add_column("ms", justify="right", no_wrap=True)
    table.add_column("seen", overflow="fold")
    if probe.resolve:
        found = f"{len(probe.addresses)} address{'es' * (len(probe.addresses) != 1)}"
        table.add_row("", HOPS["resolve"], f"{probe.resolve.ms:.1f}", found)
    for seen in probe.addresses:
        _rows(table, probe, seen)
    if probe.unresolved:
        table.add_row("", HOPS["resolve"], "-", Text("FAILED", "bold red"))
    console.print(table)
    if probe.unresolved:
        _because(console, "", probe.unresolved)
    for seen in probe.addresses:
        for trial in seen.trials:
            line = f"{seen.address}: tried {trial.name} {trial.value}".rstrip()
            console.print(Text(printable(f"{line}: {trial.seen}"), "dim"))
        if seen.cause:
            _because(console, f"{seen.address}: ", seen.cause)
    if not int(exit_status(probe)):
        console.print(Text("a client gets through", "bold green"))


def _rows(table: Table, probe: LinkProbe, seen: AddressProbe) -> None:
    address = seen.address
    for hop in seen.hops:
        table.add_row(address, HOPS[hop.name], f"{hop.ms:.1f}", Text("ok", "green"))
        address = ""
    if seen.failure:
        words = Text("FAILED ", "bold red").append(printable(seen.failure.detail), "")
        table.add_row(address, HOPS[seen.failure.hop], "-", words)


def _because(console: Console, where: str, why: Cause) -> None:
    console.print(Text(printable(f"{where}{why.word}: {why.because}"), "bold red"))
    console.print(Text(printable(f"  do: {why.remedy}"), "red"))


def linkprobe_document(probe: LinkProbe) -> dict[str, Any]:
    """The object of `probe LINK --json`."""
    return {
        "host": probe.host,
        "port": probe.port,
        "mode": probe.mode,
        "domain": probe.domain or None,
        "dc": probe.dc,
        "resolve_ms": probe.resolve.ms if probe.resolve else None,
        "explanation": _cause(probe.unresolved),
        "addresses": [_address(seen) for seen in probe.addresses],
        "exit": int(exit_status(probe)),
    }


def _address(seen: AddressProbe) -> dict[str, Any]:
    failure = seen.failure
    return {
        "address": seen.address,
        "hops": [asdict(hop) for hop in seen.hops],
        "failure": failure
        and {"hop": failure.hop, "cause": failure.cause, "detail": failure.detail},
        "trials": [asdict(trial) for trial in seen.trials],
        "explanation": _cause(seen.cause),
    }


def _cause(cause: Cause | None) -> dict[str, str] | None:
    if cause is None:
        return None
    return {"cause": cause.word, "says": cause.because, "remedy": cause.remedy}
