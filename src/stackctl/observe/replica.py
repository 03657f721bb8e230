"""Telemt's own words: its readiness, and the clients it logs. Pure."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass

from stackctl.observe.limitfile import ParseError

READY = "ready"
NOT_READY = "not-ready"


@dataclass(frozen=True, slots=True)
class LoggedClient:
    """A client as a replica logged it.

    Attributes:
        client: address:port.
        via: "direct", or "proxy_v1" or "proxy_v2" where a PROXY header named the client.
    """

    client: str
    via: str

    @property
    def by_header(self) -> bool:
        """Whether a PROXY header brought the address."""
        return self.via.startswith("proxy")


def parse_ready(status: int, body: str) -> tuple[str, str]:
    """`ready` or `not-ready`, and Telemt's reason ("" if it gives none), of /v1/health/ready.

    Raises:
        ParseError: the body is not Telemt's, or contradicts the status.
    """
    data = _data(body)
    ready = data.get("ready")
    if not isinstance(ready, bool):
        raise ParseError(f"no `data.ready` in {body[:80]!r}")
    if ready != (status == 200):
        raise ParseError(f"status {status}, but data.ready is {str(ready).lower()}")
    return READY if ready else NOT_READY, str(data.get("reason") or "")


def parse_health(body: str) -> str:
    """`data.status` of /v1/health.

    Raises:
        ParseError: the body is not Telemt's.
    """
    status = _data(body).get("status")
    if not isinstance(status, str) or not status:
        raise ParseError(f"no `data.status` in {body[:80]!r}")
    return status


def _data(body: str) -> dict[str, object]:
    try:
        answer = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise ParseError(f"not JSON: {body[:80]!r}") from error
    data = answer.get("data") if isinstance(answer, dict) else None
    if not isinstance(data, dict):
        raise ParseError(f"no `data` in {body[:80]!r}")
    return data


def logged_clients(lines: Iterable[str]) -> tuple[LoggedClient, ...]:
    """The clients among a replica's log lines; every other line is left out."""
    found = []
    for line in lines:
        if '"client"' not in line:
            continue
        try:
            event = json.loads(line)
        except (ValueError, RecursionError):
            continue
        if isinstance(event, dict) and event.get("event") == "client":
            client, via = event.get("client"), event.get("via")
            if isinstance(client, str) and isinstance(via, str):
                found.append(LoggedClient(client.removeprefix("::ffff:"), via))
    return tuple(found)
