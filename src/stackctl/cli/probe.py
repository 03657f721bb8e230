"""The command that does what a Telegram client does, up to the first answer.

With a link it probes that proxy. Without, it probes the running stack: its published address and
each replica.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import typer

from stackctl.cli.app import Json, StackFile, app, load_stack
from stackctl.cli.output import progress, report_console

# A list, so that our own error refuses a second link: it does not print the link's secret.
Links = Annotated[
    list[str] | None,
    typer.Argument(
        metavar="LINK",
        help="tg://proxy?server=..&port=..&secret=.. or https://t.me/proxy?..; - reads it from "
        "stdin, which keeps it out of the process list. Without LINK: the running stack.",
        show_default=False,
    ),
]


def _number(name: str, low: float, high: float) -> Callable[[str], float]:
    """A parser of a number. Its error, unlike typer's, does not print the input: maybe a link."""

    def parse(text: str) -> float:
        try:
            value = float(text)
        except ValueError:
            value = float("nan")
        if not low <= value <= high:
            raise typer.BadParameter(f"it is not {name} from {low:g} to {high:g}")
        return value

    return parse


Timeout = Annotated[
    float,
    typer.Option(
        "--timeout",
        parser=_number("a number of seconds", 0.1, 300),
        metavar="SECONDS",
        help="Seconds for each step of the handshake.",
    ),
]
DataCentre = Annotated[
    float,
    typer.Option(
        "--dc",
        parser=_number("a data centre's number", -10_000, 10_000),
        metavar="NUMBER",
        help="The data centre to ask for.",
    ),
]
User = Annotated[str, typer.Option("--user", help="Only this user of the stack.")]
ReplicaName = Annotated[
    str, typer.Option("--replica", help="Only this replica, and not the published address.")
]


@app.command()
def probe(
    link: Links = None,
    file: StackFile = None,
    user: User = "",
    replica: ReplicaName = "",
    json: Json = False,
    timeout: Timeout = 10,
    dc: DataCentre = 2,
) -> None:
    """Shake hands as a client does, with each replica of the stack or with any proxy's LINK."""
    from stackctl.errors import SpecError

    if not link:
        _probe_stack(file, user, replica, json)
        return
    if len(link) > 1:
        problem = "more than one was given"
        raise SpecError("LINK", problem, "give one link, in quotes: a shell ends it at the &")
    if user or replica:
        problem = "cannot be combined with --user or --replica, which choose within a stack"
        raise SpecError("LINK", problem, "leave out LINK to probe the stack, or the two options")
    _probe_link(link[0], json, timeout, int(dc))


def _probe_stack(file: Path | None, user: str, replica: str, json: bool) -> None:
    from stackctl.engine import Engine
    from stackctl.handshake.stack import probe_stack
    from stackctl.report.probe import probe_document, probe_report

    probed = probe_stack(load_stack(file), Engine.connect(), user, replica)
    if json:
        from stackctl.report.jsontext import to_json

        print(to_json(probe_document(probed)))
    else:
        probe_report(report_console(), probed)
    raise typer.Exit(int(probed.exit_status))


def _probe_link(text: str, json: bool, timeout: float, dc: int) -> None:
    from stackctl.errors import SpecError
    from stackctl.handshake.link import probe_link
    from stackctl.handshake.link_model import exit_status
    from stackctl.mtproto import LinkError, parse_link
    from stackctl.report.linkprobe import linkprobe_document, linkprobe_report

    try:
        link = parse_link(_from_stdin() if text == "-" else text)
    except LinkError as error:
        raise SpecError(error.part, error.problem, error.remedy) from None
    with progress() as say:
        seen = probe_link(link, dc=dc, timeout=timeout, say=say)
    if json:
        from stackctl.report.jsontext import to_json

        print(to_json(linkprobe_document(seen)))
    else:
        linkprobe_report(report_console(), seen)
    raise typer.Exit(int(exit_status(seen)))


def _from_stdin() -> str:
    import sys

    return sys.stdin.readline(4096)
