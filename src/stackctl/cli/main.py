"""The entry point: run a command, turn errors into messages and exit statuses."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from stackctl import __version__
from stackctl.cli import files, stack  # noqa: F401  (their commands register themselves)
from stackctl.cli.app import app
from stackctl.cli.output import print_error
from stackctl.errors import StackError


def _print_version(wanted: bool) -> None:
    if wanted:
        print(f"stackctl {__version__}")
        raise typer.Exit


@app.callback()
def _stackctl(
    version: Annotated[
        bool,
        typer.Option(
            "--version", help="Print the version.", callback=_print_version, is_eager=True
        ),
    ] = False,
) -> None:
    pass


def main() -> None:
    """Run stackctl; ends the process with one of errors.Exit."""
    try:
        app()
    except StackError as error:
        print_error(error)
        sys.exit(int(error.exit_code))
