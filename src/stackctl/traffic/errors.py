"""The kernel's errors of a connection, in stable words. Pure."""

from __future__ import annotations

import errno

CAUSES = {
    errno.ECONNREFUSED: "refused",
    errno.ECONNRESET: "reset",
    errno.EPIPE: "reset",
    errno.ETIMEDOUT: "connect-timeout",
    errno.EADDRNOTAVAIL: "no-port",
    errno.EMFILE: "no-descriptor",
    errno.ENFILE: "no-descriptor",
    errno.ENOBUFS: "no-memory",
    errno.ENOMEM: "no-memory",
    errno.EHOSTUNREACH: "unreachable",
    errno.ENETUNREACH: "unreachable",
}
"""The kernel's errors in stable words."""


def cause_of(number: int) -> str:
    """A word for an errno; for an unusual one its own name in lower case."""
    return CAUSES.get(number) or errno.errorcode.get(number, f"errno-{number}").lower()
