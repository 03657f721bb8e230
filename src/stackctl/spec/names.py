"""Rules for names and addresses: the stack's name, image tags, paths, domains, hosts, networks."""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass

from stackctl.spec.problem import RefusedError, refused, shown
from stackctl.spec.rule import Rule, matching, text, whole_number

MAX_TLS_DOMAIN = 182
"""Telegram's clients truncate a longer domain of a link (TDLib's MAX_DOMAIN_LENGTH): the
ClientHello has no room for more."""
MAX_HOST = 253
_LABEL = r"[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?"
_NAME = re.compile(rf"{_LABEL}(?:\.{_LABEL})*")
_PRIVATE = tuple(
    ipaddress.IPv4Network(block) for block in ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16")
)

NAME = matching(
    r"[a-z][a-z0-9-]{0,30}",
    "begin with a small letter, then small letters, digits and -, 31 characters at most",
    31,
)
TAG = matching(
    r"[A-Za-z0-9_][A-Za-z0-9_.-]*",
    "write a version as image tags spell it, such as 3.4.25: letters, digits and . _ -",
    128,
)
GOVERNOR = matching(
    r"[a-z][a-z0-9_]{0,14}",
    "write keep, or a governor as scaling_available_governors lists it, such as performance",
    15,
)
PATH = matching(
    r"[A-Za-z0-9_./][A-Za-z0-9_./@%+=,-]*",
    "write a path of letters, digits and . _ - / @ % + = , without spaces or quotes",
    1024,
)


@dataclass(frozen=True, slots=True)
class Address:
    """Where clients connect: an IP address (empty: all of them) and a TCP port."""

    host: str = ""
    port: int = 8443

    def __str__(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{host}:{self.port}"


def _address(raw: object) -> Address:
    if isinstance(raw, Address):
        return raw
    if not isinstance(raw, str):
        return Address(port=whole_number(raw, 1, 65535))
    remedy = "write a port (8443), or an address and a port (192.0.2.1:8443 or [2001:db8::1]:8443)"
    found = re.fullmatch(r"(?:([0-9.]{7,15})|\[([0-9A-Fa-f:.]{2,45})\]):([1-9][0-9]{0,4})", raw)
    if found is None:
        raise refused(f"{shown(raw)} is neither a port nor an address and a port", remedy)
    try:
        host = ipaddress.ip_address(found[1] or found[2])
    except ValueError:
        raise refused(f"{shown(raw)} does not hold an IP address", remedy) from None
    if host.is_multicast:
        raise refused(f"{shown(raw)} is a multicast address", remedy)
    return Address(str(host), whole_number(int(found[3]), 1, 65535))


def _dump_address(address: Address) -> int | str:
    return str(address) if address.host else address.port


ADDRESS = Rule(
    _address,
    {
        "anyOf": [
            {"type": "integer", "minimum": 1, "maximum": 65535},
            {"type": "string", "pattern": r"^([0-9.]+|\[[0-9A-Fa-f:.]+\]):[1-9][0-9]{0,4}$"},
        ]
    },
    _dump_address,
)


def _dns_name(value: str, longest: int) -> str:
    remedy = "write a DNS name such as www.example.com"
    if not value.isascii():
        raise refused(f"{shown(value)} is not ASCII", "write its punycode form (xn--...)")
    if len(value) > longest:
        raise refused(f"{shown(value)} has {len(value)} characters", f"use {longest} at most")
    if not _NAME.fullmatch(value):
        raise refused(f"{shown(value)} is not a DNS name", remedy)
    if value.rpartition(".")[2].isdigit():
        raise refused(f"{shown(value)} is not a DNS name: it ends in a number", remedy)
    return value.lower()


def _domain(raw: object) -> str:
    value = _dns_name(text(raw), MAX_TLS_DOMAIN)
    if "." not in value:
        remedy = "write the full name of a site that speaks TLS 1.3, such as www.example.com"
        raise refused(f"{shown(value)} is not a full domain name", remedy)
    return value


def _host(raw: object) -> str:
    value = text(raw)
    remedy = "write the IP address or the DNS name that clients use"
    if value.startswith("[") and value.endswith("]"):
        raise refused(f"{shown(value)} is in brackets", "write the IPv6 address without them")
    # ipaddress takes any text after % as a zone: only digits, dots and colons reach it.
    if re.fullmatch(r"[0-9.]+|[0-9A-Fa-f:.]*:[0-9A-Fa-f:.]*", value):
        try:
            address = ipaddress.ip_address(value)
        except ValueError:
            raise refused(f"{shown(value)} is not an IP address", remedy) from None
        if address.is_unspecified or address.is_multicast:
            raise refused(f"no client can connect to {shown(value)}", remedy)
        return str(address)
    try:
        return _dns_name(value, MAX_HOST)
    except RefusedError:
        raise refused(f"{shown(value)} is neither an IP address nor a DNS name", remedy) from None


@dataclass(frozen=True, slots=True)
class Mask:
    """The fallback site: connections that are not MTProto are passed on to it.

    Attributes:
        kind: "auto" (the site of `domain`, or the lab's), "off" (such connections are closed) or
            "site".
        host: IP address or DNS name, with kind "site".
        port: TCP port of the site.
    """

    kind: str = "auto"
    host: str = ""
    port: int = 443


def _mask(raw: object) -> Mask:
    value = text(raw)
    if value in ("auto", "off"):
        return Mask(value)
    remedy = "write auto, off, or the HOST or HOST:PORT of your fallback site"
    found = re.fullmatch(r"(?:\[([0-9A-Fa-f:.]+)\]|([A-Za-z0-9.-]+))(?::([1-9][0-9]{0,4}))?", value)
    if found is None:
        raise refused(f"{shown(value)} is not a site", remedy)
    port = whole_number(int(found[3] or 443), 1, 65535)
    return Mask("site", str(HOST.check(found[1] or found[2])), port)


def _dump_mask(mask: Mask) -> str:
    if mask.kind != "site":
        return mask.kind
    host = f"[{mask.host}]" if ":" in mask.host else mask.host
    return f"{host}:{mask.port}"


MASK = Rule(_mask, {"type": "string", "pattern": r"^[A-Za-z0-9.:\[\]-]+$"}, _dump_mask)


def _metrics(raw: object) -> Address | None:
    if raw is None or raw == "off":
        return None
    address = _address(raw)
    # A scraper on this machine needs no more; another address has to be given on purpose.
    return Address(address.host or "127.0.0.1", address.port)


METRICS = Rule(
    _metrics,
    {"anyOf": [{"enum": ["off", None]}, *ADDRESS.schema["anyOf"]]},
    lambda address: "off" if address is None else str(address),
)

_DNS_PATTERN = rf"^{_LABEL}(?:\.{_LABEL})+$"
DOMAIN = Rule(_domain, {"type": "string", "pattern": _DNS_PATTERN, "maxLength": MAX_TLS_DOMAIN})
HOST = Rule(_host, {"type": "string", "pattern": "^[A-Za-z0-9.:-]+$", "maxLength": MAX_HOST})


def _subnet(raw: object) -> str:
    value = text(raw)
    if value == "auto":
        return ""
    remedy = "write auto, or a private IPv4 network of /16 to /24 such as 10.89.0.0/24"
    if not re.fullmatch(r"[0-9.]{7,15}/[0-9]{1,2}", value):
        raise refused(f"{shown(value)} is not an IPv4 network", remedy)
    try:
        network = ipaddress.IPv4Network(value)
    except ValueError as error:
        raise refused(f"{shown(value)} is not an IPv4 network: {error}", remedy) from None
    if not 16 <= network.prefixlen <= 24:
        raise refused(f"{shown(value)} is not of a usable size", remedy)
    if not any(network.subnet_of(block) for block in _PRIVATE):
        raise refused(f"{shown(value)} is not a private network", remedy)
    return str(network)


SUBNET = Rule(
    _subnet,
    {"type": "string", "pattern": r"^(auto|[0-9.]+/(1[6-9]|2[0-4]))$"},
    lambda subnet: subnet or "auto",
)


def _binary(raw: object) -> str:
    return "" if raw is None else str(PATH.check(raw))


def _public_port(raw: object) -> int:
    return 0 if raw is None else whole_number(raw, 1, 65535)


_DIGEST = matching(
    r"sha256:[0-9a-f]{64}",
    "write sha256: and 64 digits of 0-9a-f, as `docker image inspect` shows it after the @",
    71,
)


def _digest(raw: object) -> str:
    return "" if raw is None else str(_DIGEST.check(raw))


DIGEST = Rule(
    _digest, {"anyOf": [dict(_DIGEST.schema), {"type": "null"}]}, lambda digest: digest or None
)
BINARY = Rule(_binary, {"anyOf": [dict(PATH.schema), {"type": "null"}]}, lambda path: path or None)
PUBLIC_PORT = Rule(
    _public_port,
    {"anyOf": [{"type": "integer", "minimum": 1, "maximum": 65535}, {"type": "null"}]},
)
