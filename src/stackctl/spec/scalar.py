"""Plain YAML words as values: YAML 1.2's core schema without what YAML 1.1 reads differently."""

from __future__ import annotations

import re

from stackctl.spec.problem import refused

_WORDS: dict[str, bool | None] = {
    **dict.fromkeys(("", "~", "null", "Null", "NULL"), None),
    **dict.fromkeys(("true", "True", "TRUE"), True),
    **dict.fromkeys(("false", "False", "FALSE"), False),
}
_WHOLE = re.compile(r"-?(?:0|[1-9][0-9]*)")
_OCTAL = re.compile(r"[-+]?0[0-9_]+")
_BASED = re.compile(r"[-+]?0(?:x[0-9a-fA-F_]+|o[0-7_]+|b[01_]+)")
_DRESSED = re.compile(r"\+?[0-9][0-9_]*|-[0-9]+_[0-9_]*")
_SEXAGESIMAL = re.compile(r"[-+]?[0-9][0-9_]*(?::[0-5]?[0-9])+(?:\.[0-9_]*)?")
_FRACTION = re.compile(
    r"[-+]?(?:\.[0-9][0-9_]*|[0-9][0-9_]*\.[0-9_]*|[0-9][0-9_]*(?=[eE]))(?:[eE][-+]?[0-9]+)?"
    r"|[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN)"
)
_MAX_DIGITS = 19
"""Digits of 2^63 - 1; int() itself refuses thousands of them with another exception."""


def scalar(word: str) -> bool | int | str | None:
    """The value of a plain (unquoted) scalar.

    Raises:
        RefusedError: a number that YAML readers disagree about, a fraction, or one beyond 64 bits.
    """
    if word in _WORDS:
        return _WORDS[word]
    if word[0] not in "+-.0123456789":
        return word
    if _WHOLE.fullmatch(word):
        if len(word) > _MAX_DIGITS + word.startswith("-"):
            raise refused(f"{word[:60]} is far too large a number", "write a smaller one")
        return int(word)
    if (problem := _ambiguity(word)) is not None:
        raise refused(*problem)
    return word


def _ambiguity(word: str) -> tuple[str, str] | None:
    quoted = f'put it in quotes if it is text: "{word}"' if len(word) < 40 else "use quotes"
    if _SEXAGESIMAL.fullmatch(word):
        return f"{word[:60]} reads as minutes and seconds in some YAML", _instead(word, quoted)
    if _BASED.fullmatch(word):
        return f"{word[:60]} is not a decimal number", _instead(word, quoted)
    if _OCTAL.fullmatch(word):
        return f"{word[:60]} reads as octal in some YAML", _instead(word, quoted)
    if _DRESSED.fullmatch(word):
        return f"{word[:60]} is not a plain number", _instead(word, quoted)
    if _FRACTION.fullmatch(word):
        return (
            f"{word[:60]} reads as a fraction, which no key takes",
            f"write digits alone, or {quoted}",
        )
    return None


def _instead(word: str, quoted: str) -> str:
    plain = word.replace("_", "").removeprefix("+")
    if len(plain) > _MAX_DIGITS or "." in plain:
        return f"write digits alone, or {quoted}"
    if ":" in plain:
        number = 0
        for part in plain.removeprefix("-").split(":"):
            number = number * 60 + int(part)
        return f"write {number}, or {quoted}"
    sign, digits = ("-", plain[1:]) if plain.startswith("-") else ("", plain)
    base = {"0x": 16, "0o": 8, "0b": 2}.get(digits[:2], 10)
    try:
        number = int(digits if base == 10 else digits[2:], base)
    except ValueError:
        return f"write digits alone, or {quoted}"
    return f"write {sign}{number}, or {quoted}"
