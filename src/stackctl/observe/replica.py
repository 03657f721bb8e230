"""Telemt's own words: its readiness, the clients it logs and counts, and whom it refused. Pure."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from ipaddress import ip_address
from typing import Any

from stackctl.observe.limitfile import ParseError
from stackctl.observe.model import Snapshot, Unread

READY = "ready"
NOT_READY = "not-ready"

_TRIES = re.compile(r"([0-9a-fA-F:.]+)-([0-9]+)")


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


def ip_of(client: str) -> str:
    """The IP of `address:port`, spelled as the counted ones are.

    Raises:
        ValueError: there is none.
    """
    return _spelled(client.rpartition(":")[0].strip("[]"))


def own_address(record: Mapping[str, Any]) -> str:
    """address:port under which the replica has to see this client."""
    return str(record.get("client") or record.get("local", ""))


def _spelled(ip: str) -> str:
    address = ip_address(ip)
    return str(getattr(address, "ipv4_mapped", None) or address)


def parse_beobachten(page: str) -> dict[tuple[str, str], int]:
    """Failed handshakes by class and IP, of Telemt's page /beobachten.

    Raises:
        ParseError: Telemt does not count them.
    """
    if page.startswith("beobachten disabled"):
        raise ParseError("beobachten disabled")
    found: dict[tuple[str, str], int] = {}
    kind = ""
    # Below the classes stand TLS fingerprints, in lines of other forms.
    for line in page.splitlines():
        if line.startswith("["):
            kind = line.strip("[]")
        elif kind and (match := _TRIES.fullmatch(line)):
            try:
                found[kind, _spelled(match[1])] = int(match[2])
            except ValueError:
                continue
    return found


def counted_clients(reading: Mapping[str, Any] | None) -> dict[str, int]:
    """How many more failed handshakes each IP has than before, whatever their class.

    Raises:
        ParseError: the page was not read, or Telemt does not count them.
    """
    if not reading:
        raise ParseError("/beobachten was not read")
    if "error" in reading:
        raise ParseError(f"GET {reading.get('from', '/beobachten')}: {reading['error']}")
    before = parse_beobachten(reading["before"])
    more: Counter[str] = Counter()
    for entry, tries in parse_beobachten(reading["after"]).items():
        had = before.get(entry, 0)
        # Fewer than before: Telemt forgot the address meanwhile and began anew.
        more[entry[1]] += tries - had if tries >= had else tries
    return {ip: tries for ip, tries in more.items() if tries}


def refused(snapshot: Snapshot, target: str) -> dict[str, int]:
    """What a replica has refused since it began, by series of its metrics page.

    A series that has counted nothing may be missing.

    Raises:
        Unread: the replica, its page, or a probe that reads it is missing.
    """
    counted = snapshot.target(target).get("counters")
    if counted is None:
        raise Unread("this probe reads no metrics: `stackctl up` builds another")
    if "error" in counted:
        raise Unread(f"metrics: {counted['error']}")
    return {series: int(number) for series, number in counted["value"].items()}
