"""Transforms a user's bytes between client and data centre, and counts them."""

from cryptography.hazmat.primitives.ciphers import CipherContext

from .obfuscation import KEY_BYTES, Dial, keystream
from .records import wrap
from .relay import Bytes, LastBytes
from .verdicts import Accepted


class FromClient:
    """Client to data centre: unwrapped from records, decrypted, and encrypted for the data
    centre."""

    __slots__ = ("_accepted", "_to_dc", "_user")

    def __init__(self, accepted: Accepted, to_dc: CipherContext) -> None:
        self._accepted = accepted
        self._user = accepted.user
        self._to_dc = to_dc

    def __call__(self, chunk: memoryview) -> Bytes:
        """Raises LastBytes at an alert, at bytes that are not a record, and at the end of the
        quota."""
        records = self._accepted.records
        payload = chunk if records is None else records.feed(chunk)
        payload = payload[: self._user.take(len(payload))]
        self._user.from_client += len(payload)
        data = self._to_dc.update(self._accepted.init.from_client.update(payload))
        if self._user.spent or (records is not None and records.broken):
            raise LastBytes(data, everything=True)
        if records is not None and records.ended:
            raise LastBytes(data, everything=False)
        return data


class ToClient:
    """Data centre to client, the other way round."""

    __slots__ = ("_from_dc", "_to_client", "_user", "_wraps")

    def __init__(self, accepted: Accepted, dial: Dial) -> None:
        self._user = accepted.user
        self._wraps = accepted.records is not None
        self._from_dc = dial.from_dc
        key = accepted.init.to_client_key
        # Without a cipher of its own the data centre already uses the client's.
        self._to_client = (
            keystream(key[:KEY_BYTES], key[KEY_BYTES:]) if dial.from_dc is not None else None
        )

    def __call__(self, chunk: memoryview) -> Bytes:
        """Raises LastBytes at the end of the quota."""
        payload: Bytes = chunk[: self._user.take(len(chunk))]
        self._user.to_client += len(payload)
        if self._from_dc is not None and self._to_client is not None:
            payload = self._to_client.update(self._from_dc.update(payload))
        data = wrap(payload) if self._wraps and payload else payload
        if self._user.spent:
            raise LastBytes(data, everything=True)
        return data
