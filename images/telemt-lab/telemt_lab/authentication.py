"""Authentication of clients: secrets, modes, names, clocks and replays, judged as Telemt does."""

import ipaddress
import time
from collections.abc import Iterator

from .client_hello import DIGEST, ClientHello, read_hello
from .config import Access, Censorship, Modes
from .fake_tls import proves, server_flight
from .obfuscation import ABRIDGED, INTERMEDIATE, SECURE, read_init
from .users import User, Users
from .verdicts import Accepted, Fallback, Flight, Refused

_INIT_KEYS = slice(8, 56)
# With a shorter window, a ClientHello could be replayed while its time stamp is still valid.
_SHORTEST_TLS_WINDOW_S = 120
_ALERT_UNRECOGNIZED_NAME = bytes.fromhex("15030300020270")
_BAD_HELLO = "tls_handshake_bad_client"


class Authenticator:
    """Judges complete messages; all sessions share one."""

    def __init__(self, modes: Modes, access: Access, censorship: Censorship, users: Users) -> None:
        self._access = access
        self._censorship = censorship
        self._users = users
        self._inits = ReplayCache(access.replay_entries, access.replay_window_s)
        window_s = max(access.replay_window_s, _SHORTEST_TLS_WINDOW_S)
        self._digests = ReplayCache(access.replay_entries, window_s)
        self._throttle = Throttle()
        classic = {ABRIDGED, INTERMEDIATE} if modes.classic else set()
        self._plain_tags = frozenset(classic | ({SECURE} if modes.secure else set()))
        self._tls_tags = frozenset(classic | ({SECURE} if modes.tls else set()))
        self.serves_plain = bool(self._plain_tags)
        """Whether any transport but fake TLS is served."""

    def judge_hello(self, record: bytes, host: str) -> Flight | Fallback | Refused:
        """Judge a whole ClientHello record of at least 105 bytes, sent from host."""
        hello = read_hello(record)
        fallback = Fallback(_BAD_HELLO, name=hello.name)
        if self._throttle.blocked(host):
            return fallback
        offered = set(hello.alpn) if self._censorship.alpn_enforce else set()
        if offered and not offered & {b"h2", b"http/1.1"}:
            return fallback
        if not self._knows(hello):
            action = self._censorship.unknown_sni_action
            self._throttle.failed(host)
            if action == "mask":
                return fallback
            alert = _ALERT_UNRECOGNIZED_NAME if action == "reject_handshake" else b""
            return Refused("other", "unknown_tls_sni", alert, delayed=not alert)
        flight = self._flight(record, hello)
        if flight is None:
            self._throttle.failed(host)
            return fallback
        self._throttle.succeeded(host)
        return flight

    def judge_init(self, init: bytes, host: str, tls_user: User | None) -> Accepted | None:
        """Judge a first message of 64 bytes; None where it is no user's.

        tls_user is the user of the ClientHello; the message may be another user's.
        """
        if self._throttle.blocked(host):
            return None
        tags = self._tls_tags if tls_user is not None else self._plain_tags
        for user in self._candidates(tls_user):
            found = read_init(init, user.entry.secret, tags)
            if found is None:
                continue
            key = init[_INIT_KEYS]
            if key in self._inits:
                break
            self._inits.add(key)
            self._throttle.succeeded(host)
            return Accepted(user, found)
        self._throttle.failed(host)
        return None

    def _knows(self, hello: ClientHello) -> bool:
        return (
            hello.name is None
            or hello.name in self._censorship.domains
            or self._users.get(hello.name) is not None
            or self._censorship.unknown_sni_action == "accept"
        )

    def _candidates(self, first: User | None) -> Iterator[User]:
        if first is not None:
            yield first
        yield from (user for user in self._users if user is not first)

    def _flight(self, record: bytes, hello: ClientHello) -> Flight | None:
        now = None if self._access.ignore_time_skew else time.time()
        if hello.session_id is None:
            return None
        for user in self._candidates(self._users.get(hello.name)):
            if proves(record, user.entry.secret, now, self._access.replay_window_s):
                break
        else:
            return None
        # Half of the digest, as Telemt keeps it: the rest holds the time.
        digest = record[DIGEST]
        if digest[:16] in self._digests or hello.group is None or hello.suite is None:
            return None
        self._digests.add(digest[:16])
        answer = server_flight(
            user.entry.secret,
            digest,
            hello.session_id,
            hello.suite,
            hello.group,
            self._censorship.cert_bytes,
            self._censorship.tickets,
        )
        return Flight(answer, user)


class ReplayCache:
    """Keys seen within the last window_s seconds; when it is full, the oldest are dropped."""

    def __init__(self, entries: int, window_s: int) -> None:
        """window_s 0 remembers nothing."""
        self._entries = max(1, entries)
        self._window_s = window_s
        self._seen: dict[bytes, float] = {}

    def __contains__(self, key: bytes) -> bool:
        self._forget()
        return key in self._seen

    def add(self, key: bytes) -> None:
        """Remember a key; a known key keeps its age."""
        if not self._window_s:
            return
        self._forget()
        if key not in self._seen:
            if len(self._seen) >= self._entries:
                del self._seen[next(iter(self._seen))]
            self._seen[key] = time.monotonic()

    def _forget(self) -> None:
        oldest = time.monotonic() - self._window_s
        while self._seen:
            key = next(iter(self._seen))
            if self._seen[key] >= oldest:
                break
            del self._seen[key]


# From the fourth failure in a row: 25 ms, doubled with each further failure, at most a second.
_FIRST_BLOCKED = 4
_SHORTEST_S, _LONGEST_S = 0.025, 1.0
_REMEMBERED_S = 600.0
_MOST = 65_536


class Throttle:
    """Failures in a row by address; for IPv6 by /64."""

    def __init__(self) -> None:
        # Oldest failure first.
        self._failures: dict[str, tuple[int, float, float]] = {}

    def blocked(self, host: str) -> bool:
        """Say whether this address has to wait."""
        if not self._failures:
            return False
        found = self._failures.get(_key(host))
        return found is not None and time.monotonic() < found[1]

    def failed(self, host: str) -> None:
        """Count a failure."""
        now, key = time.monotonic(), _key(host)
        count, _, last = self._failures.pop(key, (0, 0.0, now))
        count = 1 if now - last > _REMEMBERED_S else count + 1
        wait = 0.0
        if count >= _FIRST_BLOCKED:
            wait = min(_LONGEST_S, _SHORTEST_S * 2 ** min(count - _FIRST_BLOCKED, 10))
        if len(self._failures) >= _MOST:
            del self._failures[next(iter(self._failures))]
        self._failures[key] = (count, now + wait, now)

    def succeeded(self, host: str) -> None:
        """Forget an address's failures."""
        if self._failures:
            self._failures.pop(_key(host), None)


def _key(host: str) -> str:
    if ":" not in host:
        return host
    address = ipaddress.IPv6Address(host.partition("%")[0])
    return str(ipaddress.IPv6Network((int(address) >> 64 << 64, 64)))
