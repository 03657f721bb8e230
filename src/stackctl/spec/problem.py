"""What is wrong with a file: where, what, and what to write instead."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from stackctl.errors import SpecError

Location = tuple[str | int, ...]
"""Keys and list positions from the top of a file to a value."""

SHOWN_CHARACTERS = 60
SHOWN_PROBLEMS = 20

_PLAIN_KEY = re.compile(rf"[A-Za-z0-9_./-]{{1,{SHOWN_CHARACTERS}}}")


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing to mend.

    Attributes:
        at: where it is; relative to the value being read while it is passed up.
        text: what is wrong.
        remedy: what to do, as an instruction.
    """

    at: Location
    text: str
    remedy: str

    def below(self, *parents: str | int) -> Problem:
        """The same problem, seen from further up."""
        return Problem((*parents, *self.at), self.text, self.remedy)


class RefusedError(ValueError):
    """A value that is refused, for one or more reasons.

    It is a ValueError so that pydantic collects it with the others and does not stop at it.
    """

    def __init__(self, *problems: Problem) -> None:
        super().__init__("\n".join(f"{problem.text}; {problem.remedy}" for problem in problems))
        self.problems = problems


def refused(text: str, remedy: str, *at: str | int) -> RefusedError:
    """A refusal for one reason: of the value itself, or of the part of it that is found `at`."""
    return RefusedError(Problem(at, text, remedy))


def shown(value: object) -> str:
    """A value as an error quotes it: in YAML's words, escaped, 60 characters at most."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        cut = value[:SHOWN_CHARACTERS]
        return repr(cut) + ("..." if len(value) > len(cut) else "")
    if isinstance(value, Mapping):
        return "a mapping"
    if isinstance(value, Sequence):
        return "a list"
    return repr(value)[:SHOWN_CHARACTERS]


def dotted(at: Location) -> str:
    """`limits.nofile.hard`; keys with unusual characters are quoted, list positions in brackets."""
    text = ""
    for part in at:
        if isinstance(part, int):
            text += f"[{part}]"
            continue
        name = part if _PLAIN_KEY.fullmatch(part) else shown(part)
        text += f".{name}" if text else name
    return text


def named(path: Path) -> str:
    """A path as an error names it; escaped where it would break the line."""
    name = str(path)
    return name if name.isprintable() and len(name) <= 200 else repr(name[:200])


def nearest(word: str, known: Iterable[str], otherwise: str) -> str:
    """A remedy for an unknown word: the known word that looks like it, else `otherwise`."""
    from difflib import get_close_matches

    words = sorted(known)
    # Cut first: the comparison takes quadratic time, and the word may be 200 KB long.
    wanted = word[:SHOWN_CHARACTERS].strip()
    tails = [one for one in words if one.rpartition(".")[2] == wanted]
    close = tails or get_close_matches(wanted, words, n=1, cutoff=0.6)
    return f"did you mean {close[0]}?" if close else otherwise


def spec_error(problems: Sequence[Problem], lines: Mapping[Location, int]) -> SpecError:
    """All problems as one error, in the order of the file, one to a line.

    Args:
        problems: at least one.
        lines: line numbers of the file's keys, counted from 1.
    """
    ordered = sorted(problems, key=lambda problem: _line(problem.at, lines))
    texts = [_with_line(problem, lines) for problem in ordered[:SHOWN_PROBLEMS]]
    remedies = [problem.remedy for problem in ordered[:SHOWN_PROBLEMS]]
    left = len(ordered) - len(texts)
    if left:
        remedies[-1] += f"\n... and {left} more"
    rows = [
        f"{dotted(problem.at)}: {text}" if problem.at else text
        for problem, text in zip(ordered, texts, strict=False)
    ]
    key = dotted(ordered[0].at)
    # SpecError itself joins key, problem and remedy, so it gets the first key and the last remedy.
    whole = [f"{row}; {remedy}" for row, remedy in zip(rows[:-1], remedies, strict=False)]
    message = "\n".join([*whole, rows[-1]])
    return SpecError(key, message.removeprefix(f"{key}: "), remedies[-1])


def _line(at: Location, lines: Mapping[Location, int]) -> int:
    for end in range(len(at), -1, -1):
        if (line := lines.get(at[:end])) is not None:
            return line
    return 0


def _with_line(problem: Problem, lines: Mapping[Location, int]) -> str:
    # A missing key has no line. Its parent's line is shown, but never the first line of the file.
    here = problem.at[:-1] if problem.at not in lines else problem.at
    line = lines.get(here) if here else None
    return f"{problem.text} (line {line})" if line else problem.text
