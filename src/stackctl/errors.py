"""What can go wrong. Every error says what happened and what the operator does next."""

from __future__ import annotations

from enum import IntEnum


class Exit(IntEnum):
    """Exit statuses of every command."""

    OK = 0
    SHORT = 1
    """Some limit is short of what is wanted, or could not be observed."""
    USAGE = 2
    """Bad input or usage; nothing was started or overwritten."""
    UNREACHABLE = 3
    """The engine or the host could not be reached, or is too old."""
    INTERRUPTED = 130
    """Ctrl-C; the message says what is left and how to remove it."""


class StackError(Exception):
    """Base of all errors shown to the operator.

    Args:
        message: what is wrong, beginning with the offending key or thing.
        remedy: what to do next, as an instruction.
    """

    exit_code = Exit.USAGE

    def __init__(self, message: str, remedy: str) -> None:
        super().__init__(message)
        self.message = message
        self.remedy = remedy

    def __str__(self) -> str:
        return f"{self.message}; {self.remedy}" if self.remedy else self.message


class SpecError(StackError):
    """stack.yaml or the secrets file is wrong; `key` is the dotted path of the offender."""

    def __init__(self, key: str, problem: str, remedy: str) -> None:
        super().__init__(f"{key}: {problem}" if key else problem, remedy)
        self.key = key


class PlanError(SpecError):
    """The file is well formed but the topology cannot carry what it asks for."""


class OutputError(StackError):
    """A file or directory could not be written; nothing was replaced."""


class EngineError(StackError):
    """No engine, an engine that cannot be reached, one too old, or a call it refused."""

    exit_code = Exit.UNREACHABLE


class HostError(StackError):
    """A host could not be reached, or what ran there was cut off."""

    exit_code = Exit.UNREACHABLE


class StrictError(StackError):
    """Strict mode: the host or engine cannot grant a limit, so nothing was started."""

    exit_code = Exit.SHORT


class StackNotRunningError(StackError):
    """The stack named in stack.yaml has no containers."""

    exit_code = Exit.SHORT
