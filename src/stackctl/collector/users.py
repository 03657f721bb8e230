"""Which users a live replica runs with, and how their secrets compare with the operator's."""

from __future__ import annotations

import hashlib
import hmac
import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from stackctl.collector import process
from stackctl.collector.answer import Reading
from stackctl.collector.reading import MAX_TEXT, failure, read_text

_INCLUDE = re.compile(r'^include\s*=\s*"([^"]+)"\s*$', re.MULTILINE)


@dataclass(frozen=True, slots=True)
class RunningUsers:
    """The users of a live replica. Their secrets never leave the collector.

    Attributes:
        secrets: for each of the operator's users "same", "other" (another secret) or "none" (no
            such user), compared by digest; or why the files cannot be read.
        most: connections that a user may have; users without a limit are left out.
    """

    secrets: Reading[dict[str, str]]
    most: dict[str, int]


def running(pid: int, path: str, ours: Mapping[str, str]) -> RunningUsers:
    """Read the configuration in the process's root, with the files that it includes.

    Args:
        pid: the replica's process.
        path: its configuration file.
        ours: the operator's users and secrets.
    """
    try:
        return _of(tomllib.loads(_whole(pid, path))["access"], ours)
    except (OSError, ValueError, LookupError, TypeError, AttributeError) as problem:
        # A parser's error may quote the text, which holds secrets.
        known = isinstance(problem, OSError)
        words = failure(problem).error if known else "not a configuration with users"
        return RunningUsers(Reading(error=f"{path}: {words}", path=path), {})


def _of(access: dict[str, Any], ours: Mapping[str, str]) -> RunningUsers:
    theirs = access["users"]
    secrets = {who: _compared(secret, theirs.get(who)) for who, secret in ours.items()}
    every = int(access.get("user_max_tcp_conns_global_each", 0))
    limits = access.get("user_max_tcp_conns", {})
    most = {who: int(limits.get(who, 0)) or every for who in ours}
    return RunningUsers(Reading(secrets), {who: number for who, number in most.items() if number})


def _whole(pid: int, path: str) -> str:
    """A configuration's text, with the included files in place of the include lines."""

    def read(name: str) -> str:
        text = read_text(process.inside(pid, name))
        if len(text) >= MAX_TEXT:
            raise ValueError(f"larger than {MAX_TEXT} bytes")
        return text

    return _INCLUDE.sub(lambda match: read(match[1]), read(path))


def _compared(ours: str, theirs: object) -> str:
    if not isinstance(theirs, str):
        return "none"
    digests = (hashlib.sha256(text.lower().encode()).digest() for text in (ours, theirs))
    return "same" if hmac.compare_digest(*digests) else "other"
