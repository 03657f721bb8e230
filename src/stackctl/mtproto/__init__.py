"""The client side of MTProto through a proxy, up to the first answer of a data centre.

It needs only the standard library and `cryptography`, so that the collector's image can carry a
copy of this package. Bytes in, bytes out; `attempt` alone owns a socket and a clock.
"""

from __future__ import annotations

from stackctl.mtproto.attempt import attempt
from stackctl.mtproto.link import Link, LinkError, parse_link
from stackctl.mtproto.model import Attempt, Failure, Mode, Secret, Step

__all__ = [
    "Attempt",
    "Failure",
    "Link",
    "LinkError",
    "Mode",
    "Secret",
    "Step",
    "attempt",
    "parse_link",
]
