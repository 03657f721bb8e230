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

StackFile = Annotated[Path, typer.Option("--file", "-f", help="The stack file.", show_default=True)]
Json = Annotated[bool, typer.Option("--json", help="One JSON object on stdout, nothing else.")]
Fit = Annotated[bool, typer.Option("--fit", help="Lower what the engine cannot grant, and say so.")]
Strict = Annotated[
    bool, typer.Option("--strict", help="Start nothing if one limit cannot be granted.")
]

STACK_FILE = Path("stack.yaml")


def load_stack(path: Path, fit: bool = False, strict: bool = False) -> Stack:
    """The stack of a file, its mode replaced where the command line says so.

    Raises:
        SpecError: the file is wrong, or both modes were asked for.
    """
    from stackctl.errors import SpecError
    from stackctl.spec import load, with_mode

    if fit and strict:
        raise SpecError("", "--fit and --strict exclude each other", "give one of them")
    stack = load(path)
    return with_mode(stack, "fit" if fit else "strict") if fit or strict else stack
