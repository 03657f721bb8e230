"""A new stack: stack.yaml, its secrets, the schema for editors. Nothing is ever overwritten."""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

from stackctl.errors import OutputError, SpecError
from stackctl.spec.load import parse
from stackctl.spec.problem import named
from stackctl.spec.secrets import new_api_secret, new_secret
from stackctl.spec.template import secrets_text, stack_text, starter
from stackctl.spec.yaml import Document

STACK_FILE = "stack.yaml"
SECRETS_FILE = "secrets.yaml"
IGNORE_FILE = ".gitignore"
OWN_DIRECTORY = ".stackctl"
SCHEMA_FILE = f"{OWN_DIRECTORY}/stack.schema.json"
IGNORED = (SECRETS_FILE, f"{OWN_DIRECTORY}/")
"""Lines of .gitignore: secrets must not be committed, stackctl's own folder need not be."""


def init(directory: Path, name: str, connections: int, replicas: int) -> tuple[Path, ...]:
    """Write a new stack into a directory, which is made if it does not exist.

    Everything is checked before anything is written. If a file fails, those written before it are
    removed.

    Returns:
        The files written or added to, in the order of writing.

    Raises:
        SpecError: a value is out of range, or a file exists already.
        OutputError: the directory or a file could not be written; nothing is left behind.
    """
    values: dict[str, object] = {"name": name, "connections": connections, "replicas": replicas}
    parse(Document(values=values))
    # Made here and not read from the package, so that the schema is of this version.
    from stackctl.spec.schema import schema_text

    stack, secret = directory / STACK_FILE, directory / SECRETS_FILE
    ignore, schema = directory / IGNORE_FILE, directory / SCHEMA_FILE
    _check(directory)
    with ExitStack() as undo:
        _make(directory, undo)
        _make(schema.parent, undo)
        _replace(schema, schema_text(), undo)
        # Ignored before it exists, so that `git add` can never take the secrets.
        wrote_ignore = _ignore(ignore, undo)
        _create(secret, secrets_text(new_secret(), new_api_secret()), 0o600, undo)
        text = stack_text(starter(name, connections, replicas), SCHEMA_FILE)
        _create(stack, text, 0o644, undo)
        undo.pop_all()
    return (schema, *([ignore] if wrote_ignore else []), secret, stack)


def init_secrets(path: Path) -> Path:
    """Write a secrets file with one user, mode 0600.

    Raises:
        SpecError: it exists already.
        OutputError: it could not be written; nothing is left behind.
    """
    if _there(path):
        raise _exists(path)
    with ExitStack() as undo:
        _create(path, secrets_text(new_secret(), new_api_secret()), 0o600, undo)
        undo.pop_all()
    return path


def _check(directory: Path) -> None:
    if not directory.is_dir():
        if _there(directory):
            raise SpecError(named(directory), "is not a directory", "name another one")
        if not directory.absolute().parent.is_dir():
            raise SpecError(named(directory.parent), "is not a directory", "make it first")
        return
    for file in (STACK_FILE, SECRETS_FILE):
        if _there(directory / file):
            raise _exists(directory / file)
    for file in (IGNORE_FILE, SCHEMA_FILE):
        path = directory / file
        if _there(path) and not path.is_file():
            raise SpecError(named(path), "is not a regular file", "move it away")
    own = directory / OWN_DIRECTORY
    if _there(own) and not own.is_dir():
        raise SpecError(named(own), "is not a directory", "move it away")
    if not os.access(directory, os.W_OK | os.X_OK):
        raise OutputError(f"{named(directory)}: cannot be written to", "check its permissions")


def _there(path: Path) -> bool:
    """Whether anything has this name, a dangling link included."""
    return os.path.lexists(path)


def _exists(path: Path) -> SpecError:
    remedy = "it is never overwritten: keep it, or move it away first"
    return SpecError(named(path), "exists already", remedy)


def _make(directory: Path, undo: ExitStack) -> None:
    if directory.is_dir():
        return
    _write(directory, directory.mkdir)
    undo.callback(directory.rmdir)


def _create(path: Path, text: str, mode: int, undo: ExitStack) -> None:
    """A new file that has its mode from the first byte on."""

    def write() -> None:
        # O_EXCL also refuses a symbolic link that somebody has put there since the check.
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, mode)
        undo.callback(path.unlink, missing_ok=True)
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.write(text)

    _write(path, write)


def _replace(path: Path, text: str, undo: ExitStack) -> None:
    """Write stackctl's own file, over an older one if there is one."""
    if not path.exists():
        _create(path, text, 0o644, undo)
        return
    _write(path, lambda: undo.callback(path.write_bytes, path.read_bytes()))
    _write(path, lambda: path.write_text(text, encoding="utf-8"))


def _ignore(path: Path, undo: ExitStack) -> bool:
    """Add the lines that .gitignore lacks. Returns whether it lacked any."""
    if not path.exists():
        _create(path, "".join(f"{line}\n" for line in IGNORED), 0o644, undo)
        return True
    lacking: list[str] = []

    def append() -> None:
        before = path.read_bytes()
        present = {line.strip().removeprefix(b"/") for line in before.splitlines()}
        lacking.extend(line for line in IGNORED if line.encode() not in present)
        if not lacking:
            return
        start = "\n" if before and not before.endswith(b"\n") else ""
        undo.callback(os.truncate, path, len(before))
        with path.open("a", encoding="utf-8") as file:
            file.write(start + "".join(f"{line}\n" for line in lacking))

    _write(path, append)
    return bool(lacking)


def _write(path: Path, action: Callable[[], object]) -> None:
    try:
        action()
    except FileExistsError:
        raise _exists(path) from None
    except OSError as error:
        remedy = "check permissions and free space; nothing was left behind"
        raise OutputError(f"{named(path)}: cannot be written: {error.strerror}", remedy) from error
