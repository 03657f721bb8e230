"""One client connection: its PROXY header, its handshake, then a data centre or the fallback site.

It uses callbacks on bare sockets, not transports or tasks. So an idle session costs a few small
objects and a poll handle for each socket, and all sessions share one receive buffer.
"""

import asyncio
import random
import socket
import struct
import traceback
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from pathlib import Path

from .address import Address, plain, show
from .authentication import Authenticator
from .config import Config
from .eventlog import EventLog
from .handshake import Handshake
from .masking import FAILED_BYTES, Allowance, Masking
from .metrics import BROKEN_OFF, OTHER, Counters, FailedHandshakes
from .obfuscation import dial
from .proxy_protocol import InvalidHeaderError, parse
from .relay import Relay
from .streams import FromClient, ToClient
from .upstream import Dialler
from .users import User, Users
from .verdicts import Accepted, Fallback, Flight, Refused, Verdict

_RESET_ON_CLOSE = struct.pack("ii", 1, 0)
# With a fallback site, a handshake may take this much longer, to reach the site.
_MASK_GRACE_S = 0.75


def close_socket(sock: socket.socket, *, reset: bool) -> None:
    """Close a client's socket; with reset, TCP sends RST instead of FIN."""
    if reset and sock.family != socket.AF_UNIX:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET_ON_CLOSE)
    sock.close()


@dataclass(frozen=True, slots=True)
class Shared:
    """What every session shares.

    trusts says whether a peer's address may send PROXY headers; ended is called once for each
    session when it is over.
    """

    loop: asyncio.AbstractEventLoop
    chunk: memoryview
    config: Config
    trusts: Callable[[str], bool]
    authenticator: Authenticator
    users: Users
    dialler: Dialler
    masking: Masking
    counters: Counters
    failed_handshakes: FailedHandshakes
    log: EventLog
    ended: Callable[["Session"], None]


class Session:
    """A connection from accept to close. It never blocks, and its memory is bounded."""

    __slots__ = (
        *("_deadline", "_drain", "_handshake", "_header", "_shared", "_masked", "_peer"),
        *("_sock", "_task", "_timer", "_user", "relayed", "relay"),
    )

    def __init__(self, shared: Shared, sock: socket.socket, peer: Address, proxy: bool) -> None:
        """sock is non-blocking, and the session owns it; proxy requires a PROXY header."""
        self._shared = shared
        self._sock = sock
        self._peer = peer
        self._header = bytearray() if proxy else None
        self._handshake: Handshake | None = None
        self._deadline = 0.0
        self._timer: asyncio.TimerHandle | None = None
        self._task: asyncio.Task[None] | None = None
        self._user: User | None = None
        self.relayed = False
        """Whether the connection is a user's."""
        self._masked = False
        self._drain = 0
        self.relay: Relay | None = None
        """The relay, once there is one."""

    def start(self) -> None:
        """Begin; everything else happens in the loop's callbacks."""
        shared = self._shared
        shared.counters.connections += 1
        if self._header is not None and not shared.trusts(self._peer[0]):
            self._reject("proxy_protocol_untrusted")
            return
        shared.loop.add_reader(self._sock, self._on_readable)
        if self._header is None:
            self._client_known(self._peer, "direct")
        # A load balancer sends its header at once: it is read now, so most sessions need no timer.
        self._on_readable()
        if self._header is not None and self._sock.fileno() >= 0:
            timeout_s = shared.config.header_timeout_ms / 1000
            self._after(timeout_s, self._reject, "proxy_protocol_header_timeout")

    def close(self) -> None:
        """End the session, with FIN or RST as configured. A second call does nothing."""
        sock, shared = self._sock, self._shared
        if sock.fileno() < 0:
            return
        self._stop_timer()
        if self._task is not None:
            self._task.cancel()
            self._task = None
        if self.relay is not None:
            self.relay.stop()
            self.relay = None
        shared.loop.remove_reader(sock)
        mode = shared.config.client_socket.rst_on_close
        close_socket(sock, reset=mode == "always" or (mode == "errors" and not self.relayed))
        if self._user is not None:
            shared.users.release(self._user, self._address)
        if self._masked:
            shared.masking.leave()
        self._handshake = None
        shared.ended(self)

    @property
    def _address(self) -> str:
        return plain(self._peer)[0]

    def _after(self, seconds: float, call: Callable[..., None], *arguments: object) -> None:
        self._stop_timer()
        self._timer = self._shared.loop.call_later(seconds, call, *arguments)

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _begin(self, work: Coroutine[None, None, None]) -> None:
        """Continue in a task while there is nothing to read; the task ends when the relay
        begins."""
        self._stop_timer()
        self._shared.loop.remove_reader(self._sock)
        self._task = self._shared.loop.create_task(self._through(work))

    async def _through(self, work: Coroutine[None, None, None]) -> None:
        try:
            await work
        except Exception as error:  # noqa: BLE001 - whatever it is, one client's and no other's
            self._fault(error)

    def _fault(self, error: Exception) -> None:
        """A bug of the double: the client is closed at once, and the log says where it happened.

        The log does not quote the error, which may contain a client's bytes or a secret.
        """
        place = traceback.extract_tb(error.__traceback__)[-1]
        self._shared.log.event(
            "fault",
            {
                "client": show(plain(self._peer)),
                "error": type(error).__name__,
                "at": f"{Path(place.filename).name}:{place.lineno}",
            },
        )
        self.close()

    def _reject(self, reason: str) -> None:
        self._shared.counters.bad[reason] += 1
        self._shared.failed_handshakes.record(OTHER, self._address)
        self.close()

    def _client_known(self, client: Address, via: str) -> None:
        self._shared.log.client(show(plain(client)), show(plain(self._peer)), via)
        self._peer = client
        self._handshake = Handshake(self._shared.authenticator, self._address)
        if self._shared.config.first_byte_idle_s:
            self._after(self._shared.config.first_byte_idle_s, self.close)

    def _on_readable(self) -> None:
        try:
            self._read()
        except Exception as error:  # noqa: BLE001 - whatever it is, one client's and no other's
            self._fault(error)

    def _read(self) -> None:
        chunk = self._shared.chunk
        try:
            count = self._sock.recv_into(chunk)
        except (BlockingIOError, InterruptedError):
            return
        except OSError:
            count = 0
        if self._header is not None:
            self._take_header(self._header, chunk[:count])
        elif self._handshake is None:
            self._drop(count)
        elif count:
            self._take(self._handshake, chunk[:count])
        else:
            self._ended(self._handshake.end())

    def _ended(self, verdict: Verdict | None) -> None:
        """The client has closed its side; nothing is counted where it had sent nothing."""
        if verdict is None:
            self.close()
        else:
            self._judge(verdict)

    def _take_header(self, received: bytearray, chunk: memoryview) -> None:
        received += chunk
        try:
            header = parse(received)
        except InvalidHeaderError:
            self._reject("proxy_protocol_invalid_header")
            return
        if header is None:
            if not chunk:  # the client closed its side before its header was complete
                self._reject("proxy_protocol_invalid_header")
            return
        self._header = None
        self._stop_timer()
        self._client_known(header.source or self._peer, f"proxy_v{header.version}")
        if len(received) > header.length and self._handshake is not None:
            self._take(self._handshake, memoryview(received)[header.length :])

    def _take(self, handshake: Handshake, data: memoryview | bytes) -> None:
        if not handshake.begun:
            config = self._shared.config
            grace_s = _MASK_GRACE_S if config.censorship.mask.enabled else 0.0
            self._deadline = self._shared.loop.time() + config.handshake_timeout_s + grace_s
            self._stop_timer()
        verdict = handshake.feed(data)
        if verdict is not None:
            self._judge(verdict)
        elif self._timer is None:
            self._after(self._deadline - self._shared.loop.time(), self._late)

    def _late(self) -> None:
        self._shared.counters.handshake_timeouts += 1
        self._shared.counters.handshake_failures["timeout"] += 1
        self._shared.failed_handshakes.record(OTHER, self._address)
        self.close()

    def _judge(self, verdict: Verdict) -> None:
        """Act on a verdict, after the delay that every answer to a ClientHello has."""
        self._stop_timer()
        least, most = self._shared.config.censorship.delay_ms
        if most and not isinstance(verdict, Accepted) and verdict.delayed:
            self._shared.loop.remove_reader(self._sock)
            self._after(random.uniform(least, most) / 1000, self._act_later, verdict)  # noqa: S311
        else:
            self._act(verdict)

    def _act_later(self, verdict: Verdict) -> None:
        try:
            self._act(verdict)
        except Exception as error:  # noqa: BLE001 - whatever it is, one client's and no other's
            self._fault(error)

    def _act(self, verdict: Verdict) -> None:
        self._timer = None
        match verdict:
            case Flight():
                self._answer(verdict)
            case Accepted():
                self._accept(verdict)
            case Fallback():
                self._pass_on(verdict)
            case Refused():
                self._refuse(verdict)

    def _answer(self, flight: Flight) -> None:
        handshake = self._handshake
        # An empty buffer takes a few kilobytes; a socket that does not take them is broken.
        if not self._send(flight.answer) or handshake is None:
            self._refuse(Refused("other"))
            return
        self._shared.loop.add_reader(self._sock, self._on_readable)
        # The bytes that came with the ClientHello.
        self._take(handshake, b"")

    def _refuse(self, refused: Refused) -> None:
        if refused.answer:
            self._send(refused.answer)
        if refused.reason:
            self._shared.counters.bad[refused.reason] += 1
        self._shared.counters.handshake_failures[refused.failure] += 1
        broken_off = refused.failure.startswith(BROKEN_OFF)
        self._shared.failed_handshakes.record(BROKEN_OFF if broken_off else OTHER, self._address)
        self.close()

    def _accept(self, accepted: Accepted) -> None:
        shared, user = self._shared, accepted.user
        self._handshake = None
        self.relayed = True
        client = show(plain(self._peer))
        shared.log.handshake(client, user.label, accepted.mode, accepted.init.dc)
        refusal = shared.users.admit(user, self._address)
        if refusal:
            shared.log.event(
                "refused", {"client": client, "user": user.entry.name, "reason": refusal}
            )
            self.close()
            return
        self._user = user
        self._begin(self._to_datacentre(accepted))

    async def _to_datacentre(self, accepted: Accepted) -> None:
        shared = self._shared
        sock = await shared.dialler.connect(accepted.init.dc)
        self._task = None
        if sock is None:
            self.close()
            return
        client_key = accepted.init.to_client_key if shared.config.upstream.fast_mode else None
        opening = dial(accepted.init.tag, accepted.init.dc, client_key)
        try:
            sock.send(opening.first)
        except OSError:
            sock.close()
            self.close()
            return
        accepted.user.total += 1
        up, down = FromClient(accepted, opening.to_dc), ToClient(accepted, opening)
        self.relay = Relay(shared.loop, shared.chunk, self._sock, sock, up, down, self.close)
        self.relay.start(accepted.rest)

    def _pass_on(self, fallback: Fallback) -> None:
        shared, mask = self._shared, self._shared.config.censorship.mask
        self._handshake = None
        shared.counters.bad[fallback.reason] += 1
        shared.failed_handshakes.record(fallback.kind, self._address)
        if mask.enabled and shared.masking.enter():
            self._masked = True
            self._begin(self._to_mask(fallback))
        else:
            self._ignore(mask.most_bytes)

    async def _to_mask(self, fallback: Fallback) -> None:
        shared, mask = self._shared, self._shared.config.censorship.mask
        sock = await shared.masking.connect(fallback)
        self._task = None
        if sock is None:
            self._ignore(min(mask.most_bytes or FAILED_BYTES, FAILED_BYTES))
            return
        up, down = Allowance(mask.most_bytes), Allowance(mask.most_bytes)
        # With hardening Telemt pads the last bytes instead; only the site could notice that.
        half_close = not mask.shape_hardening
        self.relay = Relay(
            shared.loop, shared.chunk, self._sock, sock, up, down, self.close, half_close=half_close
        )
        self._deadline = shared.loop.time() + mask.timeout_ms / 1000
        self._watch_silence()
        self.relay.start(fallback.seen)

    def _watch_silence(self) -> None:
        """End a relay to the fallback site after its idle timeout, or its total time."""
        mask, relay = self._shared.config.censorship.mask, self.relay
        if relay is None or relay.quiet > 4 or self._shared.loop.time() >= self._deadline:
            self.close()
            return
        relay.quiet += 1
        self._after(mask.idle_ms / 4000, self._watch_silence)

    def _ignore(self, most_bytes: int) -> None:
        """Read and drop bytes until the client closes, or until Telemt would close."""
        mask = self._shared.config.censorship.mask
        self._drain = most_bytes or -1
        self._deadline = self._shared.loop.time() + mask.timeout_ms / 1000
        self._shared.loop.add_reader(self._sock, self._on_readable)
        self._after(mask.idle_ms / 1000, self.close)

    def _drop(self, count: int) -> None:
        if self._drain > 0:
            self._drain = max(0, self._drain - count)
        left_s = self._deadline - self._shared.loop.time()
        if not count or not self._drain or left_s <= 0:
            self.close()
            return
        self._after(min(left_s, self._shared.config.censorship.mask.idle_ms / 1000), self.close)

    def _send(self, data: bytes) -> bool:
        try:
            return self._sock.send(data) == len(data)
        except OSError:
            return False
