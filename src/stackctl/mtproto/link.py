"""Links that open a Telegram client with a proxy filled in: `tg://proxy?...` → values."""

from __future__ import annotations

import base64
import binascii
import ipaddress
import re
from dataclasses import dataclass
from urllib.parse import parse_qsl, urlsplit

from stackctl.mtproto.clienthello import MAX_DOMAIN
from stackctl.mtproto.model import KEY_BYTES, Secret

MAX_LINK = 2048
_PAGES = {"t.me", "telegram.me", "telegram.dog"}
_NAME = re.compile(r"[A-Za-z0-9_](?:[A-Za-z0-9_.-]*[A-Za-z0-9_])?\.?", re.ASCII)
_FORM = "tg://proxy?server=HOST&port=PORT&secret=SECRET"


@dataclass(frozen=True, slots=True)
class Link:
    """A proxy's address, and a user's secret. The secret's key stays out of repr."""

    host: str
    port: int
    secret: Secret


class LinkError(ValueError):
    """A link that cannot be used. The message names the part and never quotes the secret.

    Attributes:
        part: link, server, port or secret.
        problem: what is wrong with it.
        remedy: what to do next.
    """

    def __init__(self, part: str, problem: str, remedy: str) -> None:
        super().__init__(f"{part}: {problem}; {remedy}")
        self.part = part
        self.problem = problem
        self.remedy = remedy


def parse_link(text: str) -> Link:
    """The host, port and secret of a link, tg:// or https://t.me/, secret in hex or base64url.

    Raises:
        LinkError: it is not such a link, or a part of it is missing or malformed.
    """
    fields = _fields(text.strip())
    return Link(_host(fields["server"]), _port(fields["port"]), parse_secret(fields["secret"]))


def parse_secret(text: str) -> Secret:
    """A secret as links carry it: 16 bytes; dd and 16 bytes; ee, 16 bytes and a domain.

    Raises:
        LinkError: it is not one of these.
    """
    raw = _decoded(text)
    if len(raw) == KEY_BYTES:
        return Secret("classic", raw)
    key, rest = raw[1 : 1 + KEY_BYTES], raw[1 + KEY_BYTES :]
    if len(key) == KEY_BYTES and raw[0] == 0xDD and not rest:
        return Secret("secure", key)
    if len(key) == KEY_BYTES and raw[0] == 0xEE:
        return Secret("tls", key, _domain(rest))
    raise LinkError(
        "secret",
        f"{len(raw)} bytes, which no kind of secret has",
        "copy the whole link: a secret is 32 hex digits, or dd and 32, or ee, 32 and the domain",
    )


def is_domain(text: str) -> bool:
    """Whether a secret of mode tls can carry this as its domain."""
    return 0 < len(text) <= MAX_DOMAIN and _NAME.fullmatch(text) is not None


def _fields(text: str) -> dict[str, str]:
    remedy = f"write {_FORM}, or https://t.me/proxy?... with the same fields"
    if len(text) > MAX_LINK:
        raise LinkError("link", f"{len(text)} characters, {MAX_LINK} at most", remedy)
    try:
        parts = urlsplit(text)
    except ValueError:
        raise LinkError("link", "it is not a URL", remedy) from None
    scheme, place, path = parts.scheme.lower(), parts.netloc.lower(), parts.path.strip("/")
    telegram = scheme == "tg" and (place or path) == "proxy" and not (place and path)
    page = scheme in {"http", "https"} and place in _PAGES and path == "proxy"
    if not (telegram or page):
        raise LinkError("link", "it is not a link to an MTProto proxy", remedy)
    # + is a character of base64 here, not a space: clients percent-encode their links.
    pairs = parse_qsl(parts.query.replace("+", "%2B"), keep_blank_values=True)
    fields: dict[str, str] = {}
    for name in ("server", "port", "secret"):
        values = [value for key, value in pairs if key == name]
        if len(values) != 1 or not values[0]:
            problem = "given twice" if len(values) > 1 else "missing"
            raise LinkError(
                name, problem, f"write {_FORM}, in quotes, because a shell ends it at the &"
            )
        fields[name] = values[0]
    return fields


def _host(text: str) -> str:
    remedy = "write the DNS name or the IP address of the proxy"
    bare = text[1:-1] if text.startswith("[") and text.endswith("]") else text
    if ":" in bare or re.fullmatch(r"[0-9.]+", bare):
        try:
            return str(ipaddress.ip_address(bare))
        except ValueError:
            raise LinkError("server", "it is not an IP address", remedy) from None
    if len(bare) > 253 or not _NAME.fullmatch(bare) or ".." in bare:
        raise LinkError("server", "it is neither a DNS name nor an IP address", remedy)
    return bare.lower()


def _port(text: str) -> int:
    if not re.fullmatch(r"[0-9]{1,5}", text, re.ASCII) or not 1 <= int(text) <= 65535:
        raise LinkError("port", "it is not a number from 1 to 65535", "write the proxy's TCP port")
    return int(text)


def _decoded(text: str) -> bytes:
    remedy = "copy the link again: a secret is written in hex digits or in base64url"
    if re.fullmatch(r"(?:[0-9A-Fa-f]{2})+", text, re.ASCII):
        return bytes.fromhex(text)
    plain = text.rstrip("=").replace("-", "+").replace("_", "/")
    try:
        return base64.b64decode(plain + "=" * (-len(plain) % 4), validate=True)
    except (binascii.Error, ValueError):
        raise LinkError("secret", "it is neither hex nor base64", remedy) from None


def _domain(raw: bytes) -> str:
    remedy = (
        "ask for the link again: after ee and 32 digits the secret has the domain's bytes in hex"
    )
    text = raw.decode("ascii", "replace")
    if not text:
        raise LinkError("secret", "it begins with ee but has no domain", remedy)
    if len(raw) > MAX_DOMAIN:
        raise LinkError("secret", f"its domain has {len(raw)} bytes, {MAX_DOMAIN} at most", remedy)
    if not is_domain(text):
        raise LinkError("secret", "its domain is not a DNS name", remedy)
    return text
