"""stack.yaml and the secrets file → checked, frozen values. Every error names its key."""

from __future__ import annotations

from stackctl.spec.init import init, init_secrets
from stackctl.spec.limits import Limits
from stackctl.spec.links import Link, links
from stackctl.spec.load import check_binary, load
from stackctl.spec.model import MOST_LINK_PORTS, Haproxy, Host, Stack, Telemt
from stackctl.spec.names import Address
from stackctl.spec.secrets import Secrets, load_secrets, new_secret
from stackctl.spec.variant import as_copy, with_mode

__all__ = [
    "MOST_LINK_PORTS",
    "Address",
    "Haproxy",
    "Host",
    "Limits",
    "Link",
    "Secrets",
    "Stack",
    "Telemt",
    "as_copy",
    "check_binary",
    "init",
    "init_secrets",
    "links",
    "load",
    "load_secrets",
    "new_secret",
    "with_mode",
]
