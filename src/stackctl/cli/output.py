"""Where text goes: reports to stdout, progress and errors to stderr."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from stackctl.errors import OutputError, StackError

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from rich.console import Console


def print_error(error: StackError) -> None:
    """Print what is wrong and, on a line of its own, the remedy."""
    print(f"error: {error.message}", file=sys.stderr)
    if error.remedy:
        print(f"  do: {error.remedy}", file=sys.stderr)


def report_console() -> Console:
    """The console for reports; rich leaves colours out for NO_COLOR and without a terminal."""
    from rich.console import Console

    # Without a terminal a table must not fold at 80 columns: logs and pipes have no width.
    width = None if sys.stdout.isatty() else 160
    return Console(width=width, highlight=False, emoji=False, markup=False)


@contextmanager
def progress() -> Iterator[Callable[[str], None]]:
    """A function that shows progress: a moving line on a terminal, plain lines elsewhere."""
    if not sys.stderr.isatty():
        yield lambda line: print(line, file=sys.stderr, flush=True)
        return
    from rich.console import Console
    from rich.markup import escape

    console = Console(stderr=True, highlight=False)
    with console.status("") as status:

        def say(line: str) -> None:
            # A build step's own output only moves the line; what stackctl does stays on screen.
            if not line.startswith((" ", "Step", "Get:", "Selecting", "Setting up", "Unpacking")):
                console.log(escape(line), _stack_offset=2)
            status.update(escape(line[:100]))

        yield say


def check_can_be_written(path: Path) -> None:
    """Refuse a path that no report can be written to, before work is done for it.

    Raises:
        OutputError: its folder is missing or not writable, or the path is a folder.
    """
    if path.is_dir():
        raise OutputError(f"{path}: is a folder", "give the name of a file in it")
    if not path.parent.is_dir():
        raise OutputError(
            f"{path}: there is no folder {path.parent}", f"make it: mkdir -p {path.parent}"
        )
    if not os.access(path if path.exists() else path.parent, os.W_OK):
        raise OutputError(f"{path}: is not writable", "give a file that can be written")


def write_file(path: Path, text: str) -> None:
    """Write a report into the file that the operator named, all at once or not at all.

    Raises:
        OutputError: it cannot be written; what was there is still there.
    """
    # A symbolic link stays one. A pipe or /dev/stdout is written to, because nothing replaces it.
    place = path.resolve()
    whole = not place.exists() or place.is_file()
    new = place.with_name(f".{place.name}.{os.getpid()}") if whole else place
    try:
        new.write_text(text, encoding="utf-8")
        if whole:
            if place.exists():
                new.chmod(place.stat().st_mode & 0o777)
            new.replace(place)
    except OSError as error:
        if whole:
            new.unlink(missing_ok=True)
        raise OutputError(f"{path}: {error.strerror}", "give a file that can be written") from error
