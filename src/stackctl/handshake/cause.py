"""Why a handshake ended where it did: the form of a cause, and the evidence shared by all. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from stackctl.observe.model import Snapshot

PUBLISHED = "published"
"""The place that is no replica: the address that clients reach."""

Record = Mapping[str, Any]
"""One handshake as the probe reports it."""

UP = ("UP", "no check")
"""How the status of a server begins that HAProxy gives clients."""

LOOK = "see `stackctl status` and `docker logs` of it"

UP_AGAIN = (
    "`stackctl up` renders the files again and recreates what they change; where that is nothing, "
    "`docker restart` it"
)

_FOUND_OUT = ("counted", "without_header", "with_header")
_OF_USER = "telemt_user_"


@dataclass(frozen=True, slots=True)
class Cause:
    """What is likely wrong.

    Attributes:
        word: a stable word for machines.
        because: the evidence, as a sentence.
        remedy: what to do next.
    """

    word: str
    because: str
    remedy: str


def examined(snapshot: Snapshot, record: Record) -> Record:
    """The record with what was found out about the first that ended there in the same way.

    The probe looks closer once for each place and mode, whoever the user is.
    """
    if any(key in record for key in _FOUND_OUT):
        return record
    for one in snapshot.handshakes.get("records", ()):
        alike = all(one[key] == record[key] for key in ("place", "mode")) and one.get("failure")
        if alike and one["failure"]["hop"] == record["failure"]["hop"]:
            found = {key: one[key] for key in _FOUND_OUT if key in one}
            if found:
                return {**found, **record, "counted": _of_all(found.get("counted", {}))}
    return record


def _of_all(counted: Mapping[str, Any]) -> dict[str, Any]:
    """Counters that are not of one user."""
    return {name: value for name, value in counted.items() if not name.startswith(_OF_USER)}


def counted_in(record: Record) -> dict[str, float]:
    """What the replica counted meanwhile, by series; empty where it could not be read."""
    counted = record.get("counted") or {}
    return {} if "error" in counted else {str(k): float(v) for k, v in counted.items()}


def grown(record: Record) -> list[str]:
    """The counters that grew, as `SERIES NUMBER`; not those of one user."""
    return [
        f"{name} {value:g}"
        for name, value in counted_in(record).items()
        if not name.startswith(_OF_USER)
    ]


def seen(record: Record) -> str:
    """What was seen where it ended, in words."""
    failure = record["failure"]
    counted = grown(record)
    also = "; counted meanwhile: " + ", ".join(counted) if counted else ""
    return f"{failure['hop']}: {failure['cause']}: {failure['detail']}{also}"
