"""The state of a connection: one place in each of a few arrays, indexed by its descriptor."""

from __future__ import annotations

from array import array

FREE, CONNECTING, ASKED, HELD, ASKING = 0, 1, 2, 3, 4
"""No connection; connect() under way; the first bytes are sent; open; open, in a round trip."""


class Slots:
    """The arrays. Descriptors are small numbers, so they serve as indexes.

    Args:
        size: descriptors 0 to size-1 have a place.
        ciphers: keep also what is needed to continue an obfuscated stream.

    Attributes:
        state: FREE, CONNECTING, ASKED, HELD or ASKING.
        since: when connect() was called, or the current round trip started, in nanoseconds.
        number: the connection's number over all processes; its key and source follow from it.
        sent: position in the stream towards the proxy.
        received: position in the stream from the proxy.
    """

    def __init__(self, size: int, *, ciphers: bool) -> None:
        self.state = bytearray(size)
        self.since = array("Q", bytes(8 * size))
        self.number = array("I", bytes(4 * size if ciphers else 0))
        self.sent = array("I", bytes(4 * size if ciphers else 0))
        self.received = array("I", bytes(4 * size if ciphers else 0))

    @property
    def bytes_each(self) -> int:
        """How many bytes one connection takes in the arrays."""
        ciphers = (self.number, self.sent, self.received) if self.number else ()
        return 1 + self.since.itemsize + sum(kept.itemsize for kept in ciphers)
