"""The entry point: run a command, turn errors into messages and exit statuses."""

from __future__ import annotations

import atexit
import gc
import os
import sys
from typing import Annotated

import typer

from stackctl import __version__
from stackctl.cli import (  # noqa: F401  (they register themselves)
    diagnose,
    doctor,
    files,
    host,
    load,
    probe,
    stack,
)
from stackctl.cli.app import app
from stackctl.cli.output import print_error
from stackctl.errors import Exit, StackError


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
    _start_quickly()
    try:
        app()
    except StackError as error:
        print_error(error)
        sys.exit(int(error.exit_code))
    except Exception as error:
        if os.environ.get("STACKCTL_DEBUG"):
            raise
        print_error(
            StackError(
                f"unexpected {type(error).__name__}: {error}",
                "run it again with STACKCTL_DEBUG=1 in the environment, and report the traceback",
            )
        )
        sys.exit(int(Exit.UNREACHABLE))


def _start_quickly() -> None:
    """Turn off what takes a tenth of a short command's time and is of no use to it."""
    # Python's garbage collector walks everything just imported, several times and again at exit.
    # The process ends before there is garbage.
    gc.disable()
    atexit.register(gc.freeze)
    # pydantic would look through every installed package for plugins.
    os.environ.setdefault("PYDANTIC_DISABLE_PLUGINS", "__all__")
