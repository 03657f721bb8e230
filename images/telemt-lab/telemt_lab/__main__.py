"""The command line, as Telemt's: `telemt [run] CONFIG`, `telemt healthcheck CONFIG --mode MODE`.

A health check starts every few seconds in each replica, so it imports only what it needs. asyncio
alone takes longer to import than all the rest.
"""

from __future__ import annotations

import os
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from . import NOTICE, VERSION
from .config import Config
from .document import ConfigError
from .healthcheck import PATHS, UnhealthyError, check
from .load import load

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable

_USAGE = """\
Usage: telemt [run] CONFIG
       telemt healthcheck CONFIG [--mode liveness|ready]
       telemt --version"""

# Telemt's options that take a value and have no effect here.
_IGNORED_WITH_VALUE = frozenset({"--data-path", "--working-dir", "--log-level", "--pid-file"})


@dataclass(frozen=True, slots=True)
class _Arguments:
    command: str
    config: Path
    mode: str


def main(argv: list[str]) -> int:
    """Run the command line without the program's name; returns the exit code."""
    if {"--version", "-V"} & set(argv):
        print(f"telemt {VERSION} ({NOTICE})")
        return 0
    if {"--help", "-h"} & set(argv):
        print(f"{_USAGE}\n\n{NOTICE}", file=sys.stderr)
        return 0
    arguments = _parse(argv)
    if arguments.command == "healthcheck":
        return _healthcheck(arguments)
    return _run(arguments)


def _parse(argv: list[str]) -> _Arguments:
    command, config, mode = "run", "config.toml", "liveness"
    words = iter(argv)
    for at, word in enumerate(words):
        name, equals, value = word.partition("=")
        if at == 0 and word in ("run", "healthcheck"):
            command = word
        elif name == "--mode":
            mode = value if equals else next(words, "")
        elif name in _IGNORED_WITH_VALUE:
            if not equals:
                next(words, "")
        elif not word.startswith("-"):
            config = word
    return _Arguments(command, Path(config), mode)


def _healthcheck(arguments: _Arguments) -> int:
    if arguments.mode not in PATHS:
        return _fail(f"--mode {arguments.mode!r}: must be one of {', '.join(PATHS)}", code=2)
    try:
        check(arguments.config, arguments.mode)
    except UnhealthyError as error:
        return _fail(f"healthcheck failed: {error}")
    return 0


def _run(arguments: _Arguments) -> int:
    import asyncio

    from .listeners import CannotStartError
    from .server import run

    try:
        config = load(arguments.config.absolute())
        _enter(config)
        with asyncio.Runner(loop_factory=_loop_factory()) as runner:
            runner.run(run(config, sys.stdout.fileno()))
    except (ConfigError, CannotStartError) as error:
        return _fail(str(error))
    return 0


def _enter(config: Config) -> None:
    """Make general.data_path the working directory, as Telemt does: relative paths start there."""
    if config.data_path is None:
        return
    try:
        Path(config.data_path).mkdir(parents=True, exist_ok=True)
        os.chdir(config.data_path)
    except OSError as error:
        raise ConfigError(f"general.data_path: {error}") from None


def _loop_factory() -> Callable[[], asyncio.AbstractEventLoop]:
    import asyncio

    try:
        import uvloop
    except ImportError:
        return asyncio.new_event_loop
    return uvloop.new_event_loop


def _fail(message: str, code: int = 1) -> int:
    print(f"[telemt double] {message}", file=sys.stderr)
    return code


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
