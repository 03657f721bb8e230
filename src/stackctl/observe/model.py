"""What was observed: one probe run as a whole, and single readings of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from stackctl.errors import EngineError
from stackctl.limits import Value
from stackctl.observe.response import VERSION


class Unread(Exception):
    """A value could not be read; the text says why, for the operator."""


@dataclass(frozen=True, slots=True)
class Observed:
    """One reading.

    Attributes:
        got: the value, in the unit of the limit's kind; None where it could not be read.
        source: short evidence: where it was read, and the raw text.
        error: why it could not be read; empty where it could.
        remedy: what to do about this very value; empty where the row's own remedy says it.
    """

    got: Value | None
    source: str
    error: str = ""
    remedy: str = ""


@dataclass(frozen=True, slots=True)
class Snapshot:
    """One probe run; response.py describes its parts.

    Attributes:
        request: what the probe was asked.
        facts: the host.
        targets: by name, "haproxy" and "telemt-N"; empty before a stack is started.
        clients: the connections the probe made.
        client_error: why no connection could be made; empty where they were.
        began: when the probe began, in seconds since the epoch.
        logs: what each replica logged since then, by target name.
        timing: milliseconds of each step.
        handshakes: those the probe made: "records" and, by replica, "users".
        handshake_error: why none could be made; empty where they were, or were not asked for.
    """

    request: Mapping[str, Any]
    facts: Mapping[str, Any]
    targets: Mapping[str, Mapping[str, Any]]
    clients: tuple[Mapping[str, Any], ...] = ()
    client_error: str = ""
    began: float = 0.0
    logs: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    timing: Mapping[str, float] = field(default_factory=dict)
    handshakes: Mapping[str, Any] = field(default_factory=dict)
    handshake_error: str = ""

    @classmethod
    def of(
        cls,
        response: Mapping[str, Any],
        logs: Mapping[str, tuple[str, ...]] | None = None,
        not_asked: str = "",
    ) -> Snapshot:
        """Wrap the probe's response.

        Args:
            response: the JSON object it printed.
            logs: log lines of each replica since `response["began"]`. The double writes its log
                every 0.1 s: fetch them no sooner than that after the probe has ended.
            not_asked: why the probe was asked for no handshake, if it should have been.

        Raises:
            EngineError: the response is of another version, or the probe refused the request.
        """
        if response.get("version") != VERSION or "error" in response:
            raise EngineError(
                f"the probe answers {str(response.get('error', ''))!r} in version "
                f"{response.get('version')!r}, not {VERSION}",
                "build the probe image of this stackctl (`stackctl up` does)",
            )
        made = response.get("handshakes") or {}
        return cls(
            request=response["request"],
            facts=response["facts"],
            targets=response["targets"],
            clients=tuple(response["clients"]),
            client_error=response["client_error"],
            began=response["began"],
            logs=logs or {},
            timing=response["timing"],
            handshakes=made,
            handshake_error=not_asked or str(made.get("error", "")),
        )

    def target(self, name: str) -> Mapping[str, Any]:
        """A target that could be read.

        Raises:
            Unread: it is not in the response, or could not be read as a whole.
        """
        found = self.targets.get(name)
        if found is None:
            raise Unread(f"{name} does not run")
        if found.get("error"):
            raise Unread(f"{name}: {found['error']}")
        return found

    def asked(self, name: str) -> Mapping[str, Any]:
        """What the probe was asked about a target.

        Raises:
            Unread: it was not asked about it.
        """
        for target in self.request["targets"]:
            if target["name"] == name:
                found: Mapping[str, Any] = target
                return found
        raise Unread(f"the probe was not asked about {name}")


def ahead(snapshot: Snapshot, before: float, after: float) -> float:
    """Seconds by which the probe's clock lies outside the time in which it ran, by this one."""
    if before <= snapshot.began <= after:
        return 0.0
    return snapshot.began - (after if snapshot.began > after else before)


def text_of(reading: Mapping[str, Any] | None, what: str) -> str:
    """The text of a reading.

    Raises:
        Unread: it is missing, or an error.
    """
    return str(_of(reading, what, "text"))


def value_of(reading: Mapping[str, Any] | None, what: str) -> Any:
    """The value of a reading.

    Raises:
        Unread: it is missing, or an error.
    """
    return _of(reading, what, "value")


def _of(reading: Mapping[str, Any] | None, what: str, field_name: str) -> Any:
    if reading is None:
        raise Unread(f"{what}: not read by the probe")
    if field_name not in reading:
        raise Unread(f"{what}: {reading.get('error', 'not read by the probe')}")
    return reading[field_name]
