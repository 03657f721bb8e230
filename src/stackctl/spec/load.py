"""stack.yaml → Stack, or one error that lists everything wrong with it."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from pydantic import ValidationError

from stackctl.errors import SpecError
from stackctl.limits import TABLE
from stackctl.spec.model import Haproxy, Host, PerAddress, PerUser, Stack, Telemt
from stackctl.spec.part import Part
from stackctl.spec.problem import Problem, RefusedError, nearest, spec_error
from stackctl.spec.rule import missing_space
from stackctl.spec.yaml import Document, read_document

if TYPE_CHECKING:
    from pydantic_core import ErrorDetails

_PARTS: dict[tuple[str | int, ...], type[Part]] = {
    (): Stack,
    ("host",): Host,
    ("haproxy",): Haproxy,
    ("telemt",): Telemt,
    ("per_address",): PerAddress,
    ("per_user",): PerUser,
}
_ELF = b"\x7fELF"


def load(path: Path, *, for_use: bool = False) -> Stack:
    """Read and check a stack file.

    Args:
        path: the file.
        for_use: check `telemt.binary` on disk as well, for commands that start the stack.

    Raises:
        SpecError: anything wrong with the file; its message has one line a problem.
    """
    document = read_document(path, "stack file")
    stack = parse(document)
    stack._source_dir = path.absolute().parent
    stack._source_file = path
    if for_use and stack.telemt.binary:
        check_binary(stack)
    return stack


def parse(document: Document) -> Stack:
    """Check a document that has been read. Pure.

    Raises:
        SpecError: anything wrong with it.
    """
    problems = list(document.problems)
    try:
        stack = Stack.model_validate(document.values)
    except ValidationError as error:
        # A value that YAML readers disagree about is kept as text, so its type is not reported as
        # well.
        known = {problem.at for problem in problems}
        found = [one for detail in error.errors(include_url=False) for one in _problems(detail)]
        problems += [problem for problem in found if problem.at not in known]
    if problems:
        raise spec_error(problems, document.lines) from None
    return stack


def check_binary(stack: Stack) -> Path:
    """The operator's Telemt executable.

    Raises:
        SpecError: it is not there, or not an executable ELF file.
    """
    path, key = stack.binary_path, "telemt.binary"
    remedy = "give the path of the Telemt executable, relative to the stack file"
    if path.is_dir():
        raise SpecError(key, f"{path} is a directory", remedy)
    if not path.exists():
        raise SpecError(key, f"{path} does not exist", remedy)
    if not path.is_file():
        raise SpecError(key, f"{path} is not a regular file", remedy)
    if not os.access(path, os.X_OK):
        raise SpecError(key, f"{path} is not executable", f"run `chmod +x {path}`")
    try:
        with path.open("rb") as file:
            magic = file.read(len(_ELF))
    except OSError as error:
        raise SpecError(key, f"{path} cannot be read: {error.strerror}", remedy) from None
    if magic != _ELF:
        raise SpecError(key, f"{path} is not a Linux program (no ELF header)", remedy)
    return path


def _problems(detail: ErrorDetails) -> list[Problem]:
    at = detail["loc"]
    cause = detail.get("ctx", {}).get("error")
    if isinstance(cause, RefusedError):
        return [problem.below(*at) for problem in cause.problems]
    match detail["type"]:
        case "missing":
            example = (_PARTS[at[:-1]].model_fields[str(at[-1])].examples or ["VALUE"])[0]
            return [Problem(at, "is missing", f"write it, such as {at[-1]}: {example}")]
        case "extra_forbidden":
            return [_unknown(at)]
        case "model_type":
            keys = ", ".join(_PARTS[at].model_fields)
            return [Problem(at, "is not a mapping", f"write keys below it: {keys}")]
    return [Problem(at, detail["msg"], "correct it")]


def _unknown(at: tuple[str | int, ...]) -> Problem:
    key = str(at[-1])
    fields = _PARTS[at[:-1]].model_fields
    if key in TABLE or key == "mode":
        return Problem(at, "is a limit in the wrong place", "write it below limits:")
    if key in Stack.model_fields:
        return Problem(at, "is in the wrong place", f"write {key} at the left margin")
    if spaced := missing_space(key):
        return Problem(at, "lacks a space after the colon", f"write {spaced}")
    for name, part in (("haproxy", Haproxy), ("telemt", Telemt), ("per_user", PerUser)):
        if len(at) == 1 and key in part.model_fields:
            return Problem(at, "is in the wrong place", f"write it below {name}:")
    return Problem(at, "there is no such key", nearest(key, fields, f"known: {', '.join(fields)}"))
