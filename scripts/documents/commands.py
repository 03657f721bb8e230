"""docs/commands.md: every command with its arguments and options, from the command line itself."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import typer

from scripts.documents.markdown import GENERATED, table
from stackctl.cli import main as _main  # noqa: F401  (it registers the commands)
from stackctl.cli.app import app
from stackctl.errors import Exit

EXITS = {
    Exit.OK: "Every limit is in force, or the command did what it was asked to do.",
    Exit.SHORT: "A limit is short or could not be observed, or a check found something to repair.",
    Exit.USAGE: "Bad input or usage. Nothing was started or overwritten.",
    Exit.UNREACHABLE: "The engine or the host could not be reached, or is too old.",
    Exit.INTERRUPTED: "Interrupted. The message says what is left and how to remove it.",
}

_INTRO = f"""\
{GENERATED}
# Commands

Most commands take a stack file with `--file`. Without `--file` they use

1. `stack.yaml` in the current folder;
2. else the stack that runs on this machine's engine, by the file that started it;
3. else the only stack file in the current folder or in the folders in it.

The command names the file that it found on stderr. If it finds several it lists them and ends with
exit status 2: name one with `--file`.

`up`, `down`, `host apply`, `host rollback` and `init --secrets-only` change things. They never pick
one of several stack files, even if one of the stacks runs.

`stackctl --install-completion` adds shell completion. stackctl honours `NO_COLOR`, `DOCKER_HOST`,
`DOCKER_CONTEXT` and the current docker context. Reports go to stdout, progress and errors to
stderr. With `--json` stdout is one JSON object.

## Exit statuses
"""


def commands_page() -> str:
    """The page."""
    lines = [_INTRO, *table(("status", "meaning"), ((str(int(e)), EXITS[e]) for e in Exit)), ""]
    root = typer.main.get_command(app)
    above = typer.Context(root, info_name="stackctl")
    for name, command in _commands(root):
        lines += _section(command, typer.Context(command, info_name=name, parent=above))
    return "\n".join(lines)


def _commands(group: Any, above: str = "") -> Iterator[tuple[str, Any]]:
    """Every command, without the groups, in the order of the help."""
    for name, command in group.commands.items():
        if hasattr(command, "commands"):
            yield from _commands(command, f"{above}{name} ")
        else:
            yield f"{above}{name}", command


def _section(command: Any, context: typer.Context) -> Iterator[str]:
    yield f"## `{context.command_path}`"
    yield ""
    yield (command.help or "").strip()
    yield ""
    yield f"`{' '.join(command.get_usage(context).removeprefix('Usage: ').split())}`"
    yield ""
    records = [record for one in command.params if (record := one.get_help_record(context))]
    if records:
        yield from table(("argument or option", "meaning"), ((f"`{a}`", b) for a, b in records))
        yield ""
