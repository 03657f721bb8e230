"""Find the stack file for a command that names none."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from pathlib import Path

from stackctl.errors import EngineError, SpecError

USUAL = Path("stack.yaml")


def find_stack_file(*, changes: bool = False) -> Path:
    """./stack.yaml; else the stack that runs, or the one stack file below; named on stderr.

    Args:
        changes: the command changes or removes things, so it never picks one of several files.

    Raises:
        SpecError: there is none, or there are several.
    """
    if os.path.lexists(USUAL):
        return USUAL
    from stackctl.spec.find import stack_files

    below = stack_files(Path())
    running = _running()
    of_running = files_of(running or {})
    if changes:
        refuse_several({**below, **of_running})
    path, why = choose(of_running, below, asked=running is not None)
    print(f"stackctl: using {path}: {why}", file=sys.stderr)
    return path


def refuse_several(files: Mapping[Path, str]) -> None:
    """Refuse to pick one of several stack files, even where one of them runs.

    Raises:
        SpecError: there are several.
    """
    if len(files) > 1:
        raise _several("several stack files fit, and this command changes things", files)


def choose(running: Mapping[Path, str], below: Mapping[Path, str], asked: bool) -> tuple[Path, str]:
    """The file to take, and why.

    Args:
        running: stack files of stacks that run, with their names.
        below: stack files in the current folder and in the folders in it.
        asked: whether an engine answered which stacks run.

    Raises:
        SpecError: there is none, or there are several.
    """
    if len(running) == 1:
        ((path, name),) = running.items()
        return path, f"stack {name} runs from it"
    if running:
        raise _several("several stack files belong to running stacks", running)
    if len(below) == 1:
        return next(iter(below)), "it is the only stack file here"
    if below:
        which = "none of them runs" if asked else "no engine says which of them runs"
        raise _several(f"several stack files are here, and {which}", below)
    raise SpecError(
        str(USUAL),
        "there is no such stack file, none in the folders below, and no running stack",
        "write one with `stackctl init`, or name one with --file PATH",
    )


def _several(problem: str, files: Mapping[Path, str]) -> SpecError:
    listed = "".join(f"\n  --file {path}   ({name})" for path, name in files.items())
    return SpecError("--file", f"is missing: {problem}:{listed}", "name one of them: --file PATH")


def files_of(folders: Mapping[str, str]) -> dict[Path, str]:
    """The stack files of running stacks.

    `up` renders a stack to .stackctl/NAME beside its file. A stack that was started from a rendered
    folder, or on another machine, has no file here.

    Args:
        folders: name of a stack → the folder that its containers were started from.
    """
    from stackctl.spec.find import stack_files

    found: dict[Path, str] = {}
    for name, folder in sorted(folders.items()):
        rendered = Path(folder)
        if (rendered.parent.name, rendered.name) != (".stackctl", name):
            continue
        beside = stack_files(rendered.parents[1], below=False)
        found |= {_short(path): one for path, one in beside.items() if one == name}
    return found


def _short(path: Path) -> Path:
    """A path relative to the current folder, where it lies below that."""
    return path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path


def _running() -> dict[str, str] | None:
    """Running stack → its folder; None where no engine answers."""
    from stackctl.engine import Engine

    try:
        return Engine.connect().running_stacks()
    except EngineError:
        return None
