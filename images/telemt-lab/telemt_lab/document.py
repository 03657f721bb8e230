"""telemt.toml from disk to a parsed document: textual includes, then TOML."""

import tomllib
from pathlib import Path

_INCLUDE_DEPTH = 10


class ConfigError(Exception):
    """The configuration cannot be used; the message is one line for the operator."""


def read_document(path: Path) -> dict[str, object]:
    """Return the parsed file with its includes pasted in.

    Raises ConfigError for a file that cannot be read or is not TOML.
    """
    try:
        return tomllib.loads(_paste(path, depth=0))
    except tomllib.TOMLDecodeError as error:
        # The reason only: tomllib quotes no values, so no secret of the file can reach the log.
        raise ConfigError(f"{path}: not valid TOML: {error}") from None


def _paste(path: Path, depth: int) -> str:
    """Return the text of a file with each `include = "other"` line replaced by that file.

    Telemt does this on text, before TOML is parsed: an included file may open a section that the
    including one goes on with.
    """
    if depth > _INCLUDE_DEPTH:
        raise ConfigError(f"{path}: includes are nested deeper than {_INCLUDE_DEPTH}")
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path}: cannot be read: {error}") from None
    return "\n".join(_line(line, path, depth) for line in text.split("\n"))


def _line(line: str, path: Path, depth: int) -> str:
    name, equals, value = line.partition("=")
    if name.strip() != "include" or not equals:
        return line
    return _paste(path.parent / value.strip().strip('"'), depth + 1)
