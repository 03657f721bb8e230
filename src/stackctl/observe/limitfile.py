"""Limits as text: /proc/PID/limits, limits.conf, pids.max. Pure."""

from __future__ import annotations

import re
from collections.abc import Sequence

from stackctl.limits import INFINITY

_ROW = re.compile(r"^(Max [a-z]+(?: [a-z]+)*) {2,}(\d+|unlimited) +(\d+|unlimited)(?: |$)")
_NO_LIMIT = frozenset({"unlimited", "infinity", "-1"})
_DOMAINS = ("*", "root")
"""Every user but root, and root: PAM's wildcard leaves root out."""


class ParseError(ValueError):
    """Text is not what its source normally holds."""


def parse_limits(text: str) -> dict[str, tuple[int, int]]:
    """/proc/PID/limits as (soft, hard) by row name, such as "Max open files".

    `unlimited` is INFINITY. Lines of another form are left out, so no limit is ever made up.
    """
    found = {}
    for line in text.splitlines():
        match = _ROW.match(line)
        if match:
            found[match[1]] = (_number(match[2]), _number(match[3]))
    return found


def parse_pids(text: str) -> int:
    """pids.max of a cgroup; `max` is INFINITY.

    Raises:
        ParseError: neither `max` nor a number.
    """
    word = text.strip()
    if word == "max":
        return INFINITY
    if not word.isascii() or not word.isdigit() or len(word) > 20:
        raise ParseError(f"neither `max` nor a number: {word[:60]!r}")
    return int(word)


def parse_login(texts: Sequence[str], item: str) -> tuple[int, int]:
    """(soft, hard) that every login gets: the lower of what `*` and root are given.

    Args:
        texts: limits.conf and then limits.d/*.conf in the order PAM reads them; the last line for
            a domain wins. Lines for single users and groups are not everyone's and are left out.
        item: such as "nofile".

    Raises:
        ParseError: nothing sets it for one of the two domains.
    """
    found: dict[tuple[str, str], int] = {}
    for text in texts:
        for line in text.splitlines():
            words = line.partition("#")[0].split()
            if len(words) != 4 or words[0] not in _DOMAINS or words[2] != item:
                continue
            value = _login_number(words[3])
            if value is None:
                continue  # PAM skips what it cannot read
            for side in ("soft", "hard") if words[1] == "-" else (words[1],):
                found[words[0], side] = value
    lowest = []
    for side in ("soft", "hard"):
        missing = [domain for domain in _DOMAINS if (domain, side) not in found]
        if missing:
            raise ParseError(f"nothing sets {side} {item} for {' and '.join(missing)}")
        lowest.append(min(found[domain, side] for domain in _DOMAINS))
    return lowest[0], lowest[1]


def _login_number(word: str) -> int | None:
    if word in _NO_LIMIT:
        return INFINITY
    return _number(word) if word.isascii() and word.isdigit() and len(word) <= 20 else None


def _number(word: str) -> int:
    # The kernel counts to 2**64 - 1 and calls that unlimited; anything near it means the same.
    return INFINITY if word == "unlimited" else min(int(word[:20]), INFINITY)
