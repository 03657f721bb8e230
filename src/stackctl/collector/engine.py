"""The engine's processes: their limits, a dockerd's settings, docker-proxies, login limits."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable
from dataclasses import replace
from typing import Any

from stackctl.collector import process
from stackctl.collector.answer import Cgroup, Daemon, DockerProxy, Engines, Reading, Told
from stackctl.collector.process import ProcEntry, Processes
from stackctl.collector.reading import failure, link, read_text, text

_DAEMONS = ("dockerd", "containerd", "podman")
_FLAGS = ("--config-file", "--userland-proxy", "--default-ulimit", "--iptables", "--rootless")
_KEYS = ("userland-proxy", "default-ulimits", "iptables", "live-restore", "userns-remap")
"""Only these keys leave the machine: the file may hold a proxy's password."""

_FILE = "/etc/docker/daemon.json"
_PROXIES = ("docker-proxy", "rootlesskit-doc")
"""Names as /proc has them: 15 characters."""

_LIMITS_CONF = "/etc/security/limits.conf"
_LIMITS_D = "/etc/security/limits.d"


def collect(processes: Processes, shim: int) -> Engines:
    """The process that starts containers, the daemons and the docker-proxies.

    Daemons are found by name. Where several run, all are listed and none is chosen.

    Args:
        processes: all processes of the machine.
        shim: the parent of the collector's own process.
    """
    pids = sorted(p.pid for p in processes.values() if p.comm in _DAEMONS)
    return Engines(
        starter=_daemon(processes, shim, shim),
        daemons=tuple(_with_told(_daemon(processes, pid, shim)) for pid in pids),
        proxies=proxies(processes.values()),
    )


def unread(why: Reading[Any]) -> Engines:
    """An engine of which nothing is known."""
    starter = Daemon(0, "", 0, limits=why, status=why, user_namespace=why, cgroup=Cgroup(why, why))
    return Engines(starter, (), ())


def _daemon(processes: Processes, pid: int, shim: int) -> Daemon:
    entry = processes.get(pid)
    return Daemon(
        pid=pid,
        comm=entry.comm if entry else "",
        parent=entry.parent if entry else 0,
        limits=text(f"/proc/{pid}/limits"),
        status=process.status(pid),
        user_namespace=link(f"/proc/{pid}/ns/user"),
        cgroup=process.pids(pid, shim),
    )


def _with_told(daemon: Daemon) -> Daemon:
    return replace(daemon, told=told(daemon.pid)) if daemon.comm == "dockerd" else daemon


def told(pid: int) -> Told:
    """The settings of a dockerd that matter here, from its command line and its file."""
    flags = arguments(pid, _FLAGS)
    return Told(flags, _file(pid, _named(flags.value or (), "--config-file")), netns(pid))


def netns(pid: int) -> Reading[str]:
    """The network namespace of a process: it tells engines on one machine apart."""
    return link(f"/proc/{pid}/ns/net")


def proxies(processes: Iterable[ProcEntry]) -> tuple[DockerProxy, ...]:
    """Every docker-proxy, with its arguments, which have addresses and ports."""
    return tuple(
        DockerProxy(p.pid, p.parent, arguments(p.pid), netns(p.pid))
        for p in processes
        if p.comm in _PROXIES
    )


def arguments(pid: int, flags: tuple[str, ...] = ()) -> Reading[tuple[str, ...]]:
    """A process's arguments after its name; with `flags`, only these, each with its value."""
    try:
        words = read_text(f"/proc/{pid}/cmdline").rstrip("\0").split("\0")[1:]
    except OSError as problem:
        return failure(problem)
    if not flags:
        return Reading(tuple(words))
    # `--flag word` and `--flag=word` mean the same.
    kept = []
    for at, word in enumerate(words):
        if word.partition("=")[0] in flags:
            kept.append(word)
            if "=" not in word and at + 1 < len(words) and not words[at + 1].startswith("-"):
                kept.append(words[at + 1])
    return Reading(tuple(kept))


def _named(words: tuple[str, ...], flag: str) -> str:
    for at, word in enumerate(words):
        name, equals, rest = word.partition("=")
        if name == flag:
            return rest if equals else (words[at + 1] if at + 1 < len(words) else "")
    return ""


def _file(pid: int, given: str) -> Reading[dict[str, Any]]:
    path = given or _FILE
    try:
        found = json.loads(read_text(process.inside(pid, path)))
    except (OSError, ValueError) as problem:
        return failure(problem, path)
    if not isinstance(found, dict):
        return Reading(error="not a JSON object", path=path)
    return Reading({key: found[key] for key in _KEYS if key in found}, path=path)


def login(shim: int) -> tuple[Reading[str], ...]:
    """limits.conf and limits.d/*.conf of the engine's own root, in the order PAM reads them."""
    # The engine's root, not process 1's: some machines let nobody read the latter.
    root = f"/proc/{shim}/root"
    paths = [_LIMITS_CONF]
    unlisted = []
    try:
        names = sorted(name for name in os.listdir(root + _LIMITS_D) if name.endswith(".conf"))
        paths += [f"{_LIMITS_D}/{name}" for name in names]
    except FileNotFoundError:
        pass  # no such directory: limits.conf alone counts
    except OSError as problem:
        unlisted = [failure(problem, _LIMITS_D)]
    return (*(replace(text(root + path), path=path) for path in paths), *unlisted)
