"""What was captured of live stacks, as tests read it: tests/captured, written by `make capture`."""

from __future__ import annotations

import copy
import json
from functools import cache
from pathlib import Path
from typing import Any

from stackctl.collector.answer import VERSION

FOLDER = Path(__file__).parents[1] / "captured"

REMEDY = "its wire format is another: write it anew with `make capture`"

UNIX, TCP = "bridge-unix", "bridge-tcp"

Raw = dict[str, Any]
Logs = dict[str, tuple[str, ...]]


@cache
def _file(case: str, name: str) -> Raw:
    found: Raw = json.loads((FOLDER / case / f"{name}.json").read_text(encoding="utf-8"))
    assert found.pop("version") == VERSION, f"{case}: {REMEDY}"
    return found


@cache
def _answer(case: str) -> Raw:
    names = {path.stem for path in (FOLDER / case).glob("*.json")} - {"logs"}
    answer = copy.deepcopy(_file(UNIX, "host")) | {"targets": {}}
    for name in sorted(names):
        part = copy.deepcopy(_file(case, name))
        answer["targets"] |= part.pop("targets", {})
        answer |= part
    return answer | {"version": answer["request"]["version"]}


def answer(case: str) -> Raw:
    """The answer as JSON has it, a copy; a case that keeps no machine has that of bridge-unix."""
    return copy.deepcopy(_answer(case))


def logs(case: str) -> Logs:
    """What the replicas logged meanwhile."""
    return {name: tuple(lines) for name, lines in _file(case, "logs")["logs"].items()}


def host() -> Raw:
    """The machine."""
    return copy.deepcopy(_file(UNIX, "host")["host"]["value"])


def counters(target: str = "") -> dict[str, str]:
    """What the kernel counts for a container, or for the host: netstat, sockstat, conntrack."""
    found = answer("counters")
    owner = found["targets"][target] if target else found["host"]
    return {name: reading["value"] for name, reading in owner["value"]["counters"].items()}


def haproxy_said(command: str) -> str:
    """HAProxy's answer to "info", "stat" or "pools"."""
    text: str = _file(UNIX, "haproxy")["targets"]["haproxy"]["value"]["haproxy"][command]["value"]
    return text


def configuration(target: str) -> str:
    """A container's configuration file."""
    text: str = _file(UNIX, target)["targets"][target]["value"]["config"]["text"]["value"]
    return text


def limits(target: str) -> str:
    """/proc/PID/limits of a container's process."""
    process = _file(UNIX, target)["targets"][target]["value"]["process"]
    text: str = process["limits"]["value"]
    return text


def session(case: str) -> str:
    """HAProxy's `show sess ID` of a client."""
    text: str = _file(case, "clients")["clients"]["value"][0]["session"]["value"]
    return text


def sessions() -> list[str]:
    """HAProxy's list of sessions while a client is connected."""
    text: str = _file("sessions", "sessions")["sessions"]
    return text.splitlines()


def engine() -> tuple[Raw, Raw]:
    """The engine's answers to "version" and "info"."""
    found = copy.deepcopy(_file("engine", "engine"))
    return found["about"], found["info"]
