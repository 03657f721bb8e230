"""Links that open a Telegram client with the proxy filled in. They hold secrets."""

from __future__ import annotations

from dataclasses import dataclass, field
from urllib.parse import urlencode

from stackctl.spec.model import Stack
from stackctl.spec.secrets import Secrets


@dataclass(frozen=True, slots=True)
class Link:
    """One way in for one user.

    Attributes:
        user: the user's name in the secrets file.
        mode: classic, secure (random padding) or tls (pretends to be `telemt.domain`).
        url: `tg://proxy?...`, with the secret; kept out of repr.
    """

    user: str
    mode: str
    url: str = field(repr=False)


def links(stack: Stack, secrets: Secrets) -> tuple[Link, ...]:
    """Every user's links, in the order of the secrets file. Pure."""
    domain = stack.telemt.domain.encode("ascii").hex()
    return tuple(
        Link(user, mode, _url(stack, _in_link(mode, secret, domain)))
        for user, secret in secrets.users.items()
        for mode in stack.telemt.modes
    )


def _in_link(mode: str, secret: str, domain: str) -> str:
    if mode == "classic":
        return secret
    return f"dd{secret}" if mode == "secure" else f"ee{secret}{domain}"


def _url(stack: Stack, secret: str) -> str:
    fields = {
        "server": stack.telemt.public_host,
        "port": stack.telemt.public_port,
        "secret": secret,
    }
    return "tg://proxy?" + urlencode(fields)
