"""What an engine daemon was told on its command line and in its file, and its userland proxies."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable
from typing import Any

from stackctl.collector.procs import Process, inside
from stackctl.collector.reading import Reading, failure, read_text

_FLAGS = ("--config-file", "--userland-proxy", "--default-ulimit", "--iptables", "--rootless")
_KEYS = ("userland-proxy", "default-ulimits", "iptables", "live-restore", "userns-remap")
"""These alone leave the machine: the file may hold a proxy's password."""

_FILE = "/etc/docker/daemon.json"
_PROXIES = ("docker-proxy", "rootlesskit-doc")
"""Names as /proc has them: 15 characters."""


def told(pid: int) -> dict[str, Reading]:
    """What it was told: "flags", its arguments that matter here, and "file", such keys of its file.

    "netns" is its network namespace: engines on one machine may share nothing else that is seen.
    """
    flags = arguments(pid, _FLAGS)
    file = _file(pid, _named(flags.get("value", []), "--config-file"))
    return {"flags": flags, "file": file, "netns": _netns(pid)}


def _netns(pid: int) -> Reading:
    try:
        return {"text": os.readlink(f"/proc/{pid}/ns/net")}
    except OSError as problem:
        return failure(problem)


def proxies(processes: Iterable[Process]) -> list[dict[str, Any]]:
    """Each userland proxy: pid, parent, arguments (addresses and ports), and its namespace."""
    return [
        {
            "pid": p.pid,
            "parent": p.parent,
            "arguments": arguments(p.pid),
            "netns": _netns(p.pid),
        }
        for p in processes
        if p.comm in _PROXIES
    ]


def arguments(pid: int, flags: tuple[str, ...] = ()) -> Reading:
    """A process's arguments behind its name; with `flags` only these, with the word after each."""
    try:
        words = read_text(f"/proc/{pid}/cmdline").rstrip("\0").split("\0")[1:]
    except OSError as problem:
        return failure(problem)
    if not flags:
        return {"value": words}
    # `--flag word` and `--flag=word` mean the same.
    kept = []
    for at, word in enumerate(words):
        if word.partition("=")[0] in flags:
            kept.append(word)
            if "=" not in word and at + 1 < len(words) and not words[at + 1].startswith("-"):
                kept.append(words[at + 1])
    return {"value": kept}


def _named(words: list[str], flag: str) -> str:
    for at, word in enumerate(words):
        name, equals, rest = word.partition("=")
        if name == flag:
            return rest if equals else (words[at + 1] if at + 1 < len(words) else "")
    return ""


def _file(pid: int, given: str) -> Reading:
    path = given or _FILE
    try:
        found = json.loads(read_text(inside(pid, path)))
    except (OSError, ValueError) as problem:
        return {**failure(problem), "path": path}
    if not isinstance(found, dict):
        return {"error": "not a JSON object", "path": path}
    return {"value": {key: found[key] for key in _KEYS if key in found}, "path": path}
