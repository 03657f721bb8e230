"""Network cards of the host: addresses, qdiscs, and which card carries the default route."""

from __future__ import annotations

import socket
import struct
from collections import defaultdict
from dataclasses import replace

from stackctl.collector.answer import Card, Qdisc, Reading
from stackctl.collector.netlink import ROUTE, attributes, dump
from stackctl.collector.reading import failure, read_text

_GET_LINK, _GET_ADDRESS, _GET_QDISC = 18, 22, 38
_LINK = struct.Struct("=BxHiII")
_ADDRESS = struct.Struct("=BBBBi")
_QDISC = struct.Struct("=BxxxiIII")
_IFLA_IFNAME, _IFA_ADDRESS, _IFA_LOCAL, _TCA_KIND = 3, 1, 2, 1
_UP = 1
_ROUTE_UP = 1


def _word(payload: bytes) -> str:
    return payload.split(b"\0", 1)[0].decode(errors="replace")


def links() -> dict[int, Card]:
    """Interfaces by index, with their addresses and qdiscs.

    `default_route` is false for all: `collect` reads the routes from other tables.
    """
    addresses, qdiscs = _addresses(), _qdiscs()
    found: dict[int, Card] = {}
    for body in dump(ROUTE, _GET_LINK, _LINK.pack(0, 0, 0, 0, 0)):
        _, _, index, flags, _ = _LINK.unpack_from(body)
        names = [_word(p) for kind, p in attributes(body[_LINK.size :]) if kind == _IFLA_IFNAME]
        found[index] = Card(
            name=names[0] if names else str(index),
            up=bool(flags & _UP),
            default_route=False,
            addresses=tuple(addresses[index]),
            qdiscs=tuple(qdiscs[index]),
        )
    return found


def _addresses() -> defaultdict[int, list[str]]:
    found: defaultdict[int, list[str]] = defaultdict(list)
    for body in dump(ROUTE, _GET_ADDRESS, _ADDRESS.pack(0, 0, 0, 0, 0)):
        _, prefix, _, _, index = _ADDRESS.unpack_from(body)
        parts = dict(attributes(body[_ADDRESS.size :]))
        raw = parts.get(_IFA_LOCAL, parts.get(_IFA_ADDRESS))
        if raw:
            family = socket.AF_INET if len(raw) == 4 else socket.AF_INET6
            found[index].append(f"{socket.inet_ntop(family, raw)}/{prefix}")
    return found


def _qdiscs() -> defaultdict[int, list[Qdisc]]:
    found: defaultdict[int, list[Qdisc]] = defaultdict(list)
    for body in dump(ROUTE, _GET_QDISC, _QDISC.pack(0, 0, 0, 0, 0)):
        _, index, handle, parent, _ = _QDISC.unpack_from(body)
        kinds = [_word(p) for kind, p in attributes(body[_QDISC.size :]) if kind == _TCA_KIND]
        if kinds:
            found[index].append(Qdisc(kinds[0], handle, parent))
    return found


def default_routes(ipv4: str, ipv6: str) -> list[str]:
    """Names of the cards with a default route, IPv4 first and cheapest first.

    Args:
        ipv4: text of /proc/net/route.
        ipv6: text of /proc/net/ipv6_route.
    """
    found: list[tuple[int, int, str]] = []
    for line in ipv4.splitlines()[1:]:
        fields = line.split()
        everything = len(fields) > 7 and fields[1] == fields[7] == "00000000"
        if everything and int(fields[3], 16) & _ROUTE_UP:
            found.append((4, int(fields[6]), fields[0]))
    for line in ipv6.splitlines():
        fields = line.split()
        # The kernel puts its own reject route, for "no other route", on lo.
        if len(fields) > 9 and fields[0] == "0" * 32 and fields[1] == "00" and fields[9] != "lo":
            found.append((6, int(fields[5], 16), fields[9]))
    return list(dict.fromkeys(name for _, _, name in sorted(found)))


def collect() -> Reading[tuple[Card, ...]]:
    """All cards of the calling thread's network namespace, those with a default route first."""
    try:
        cards = links().values()
        first = default_routes(_read("route"), _read("ipv6_route"))
    except (OSError, ValueError, struct.error) as problem:
        return failure(problem)
    rank = {name: number for number, name in enumerate(first)}
    ordered = sorted(cards, key=lambda card: rank.get(card.name, len(first)))
    return Reading(tuple(replace(card, default_route=card.name in rank) for card in ordered))


def _read(name: str) -> str:
    try:
        return read_text(f"/proc/thread-self/net/{name}")
    except FileNotFoundError:
        return ""  # a kernel without IPv6 has no such table
