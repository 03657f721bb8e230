"""The command that does what a Telegram client would do, up to the first answer."""

from __future__ import annotations

from typing import Annotated

import typer

from stackctl.cli.app import Json, app
from stackctl.cli.output import report_console

# A list, so that a second link is refused in our words, which do not repeat it.
Links = Annotated[
    list[str] | None,
    typer.Argument(
        metavar="[LINK]",
        help="tg://proxy?server=..&port=..&secret=.. or https://t.me/proxy?..; - reads it from "
        "stdin, which keeps it out of the process list.",
        show_default=False,
    ),
]
Timeout = Annotated[
    float, typer.Option("--timeout", min=0.1, max=300, help="Seconds for each of its steps.")
]
DataCentre = Annotated[
    int, typer.Option("--dc", min=-10_000, max=10_000, help="Number of the data centre to ask for.")
]


@app.command()
def probe(
    link: Links = None,
    json: Json = False,
    timeout: Timeout = 10,
    dc: DataCentre = 2,
) -> None:
    """Shake hands with an MTProto proxy by its link: each hop timed, each failure explained."""
    from stackctl.errors import SpecError

    if not link or len(link) > 1:
        problem = "more than one was given" if link else "none was given"
        raise SpecError("LINK", problem, "give one link, in quotes: a shell ends it at the &")
    _probe_link(link[0], json, timeout, dc)


def _probe_link(text: str, json: bool, timeout: float, dc: int) -> None:
    from stackctl.errors import SpecError
    from stackctl.linkprobe import exit_status, probe_link
    from stackctl.mtproto import LinkError, parse_link
    from stackctl.report.linkprobe import linkprobe_document, linkprobe_report

    try:
        link = parse_link(_from_stdin() if text == "-" else text)
    except LinkError as error:
        raise SpecError(error.part, error.problem, error.remedy) from None
    seen = probe_link(link, dc=dc, timeout=timeout)
    if json:
        from stackctl.report.jsontext import to_json

        print(to_json(linkprobe_document(seen)))
    else:
        linkprobe_report(report_console(), seen)
    raise typer.Exit(int(exit_status(seen)))


def _from_stdin() -> str:
    import sys

    return sys.stdin.readline(4096)
