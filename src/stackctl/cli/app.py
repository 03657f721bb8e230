"""The application object and the options that commands share."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from stackctl.spec import Stack

app = typer.Typer(
    name="stackctl",
    help="HAProxy in front of N Telemt replicas: assembled, started, and every limit proven.",
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)

StackFile = Annotated[
    Path | None,
    typer.Option(
        "--file",
        "-f",
        help="The stack file. Without it: ./stack.yaml, else the stack that runs, else the only "
        "stack file below this folder.",
        show_default=False,
    ),
]
Json = Annotated[bool, typer.Option("--json", help="One JSON object on stdout, nothing else.")]
Fit = Annotated[
    bool, typer.Option("--fit", help="Lower the limits that the engine cannot grant, and say so.")
]
Strict = Annotated[
    bool, typer.Option("--strict", help="Start nothing where a limit cannot be granted.")
]


def load_stack(
    path: Path | None, fit: bool = False, strict: bool = False, *, changes: bool = False
) -> Stack:
    """The stack of a file, its mode replaced where the command line says so.

    Args:
        path: the stack file; None to find it, where the command line names none.
        fit: lower what cannot be granted, whatever the file says.
        strict: refuse it, whatever the file says.
        changes: the command changes or removes things, so it never picks one of several files.

    Raises:
        SpecError: the file is wrong or there is none, or both modes were asked for.
    """
    from stackctl.cli.stackfile import find_stack_file
    from stackctl.errors import SpecError
    from stackctl.spec import load, with_mode

    if fit and strict:
        raise SpecError("", "--fit and --strict exclude each other", "give one of them")
    stack = load(path or find_stack_file(changes=changes))
    return with_mode(stack, "fit" if fit else "strict") if fit or strict else stack
