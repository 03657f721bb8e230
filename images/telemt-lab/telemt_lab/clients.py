"""The clients' side: listening sockets, the limit on connections, and all sessions."""

import asyncio
import contextlib
import functools
import socket
from collections.abc import Iterator

from .address import Address, show
from .authentication import Authenticator
from .config import Config
from .document import contains
from .eventlog import EventLog
from .listeners import CannotStartError, bind_listeners, close_listener, set_client_options
from .masking import Masking
from .metrics import Counters, FailedHandshakes
from .relay import CHUNK_BYTES
from .session import Session, Shared, close_socket
from .upstream import Dialler
from .users import Users

# After so many accepts in a row other sessions get their turn.
_ACCEPT_BATCH = 64
# accept() fails mostly for lack of descriptors: the connection stays queued, and trying again at
# once would only spin.
_ACCEPT_PAUSE_S = 0.1
# A relay that carries nothing for 30 minutes is ended.
_SILENCE_CHECK_S = 60.0
_SILENT_CHECKS = 30


class Clients:
    """Accepts on all listeners, up to server.max_connections sessions together."""

    def __init__(
        self,
        config: Config,
        loop: asyncio.AbstractEventLoop,
        users: Users,
        dialler: Dialler,
        counters: Counters,
        failed_handshakes: FailedHandshakes,
        log: EventLog,
    ) -> None:
        self._config = config
        self._loop = loop
        self._counters = counters
        self._log = log
        self._limit = ConnectionLimit(config.max_connections, config.permit_timeout_ms)
        self._sessions: set[Session] = set()
        self._unix_peers = _unix_peers()
        self._bound, self._refused = bind_listeners(config)
        self._accepting: list[asyncio.Task[None]] = []
        authenticator = Authenticator(config.modes, config.access, config.censorship, users)
        self._shared = Shared(
            loop=loop,
            chunk=memoryview(bytearray(CHUNK_BYTES)),
            config=config,
            # The peers are a handful of load balancers: each is looked up once.
            trusts=functools.lru_cache(1024)(functools.partial(contains, config.trusted)),
            authenticator=authenticator,
            users=users,
            dialler=dialler,
            masking=Masking(loop, config.censorship),
            counters=counters,
            failed_handshakes=failed_handshakes,
            log=log,
            ended=self._ended,
        )

    @property
    def sessions(self) -> int:
        """How many sessions there are now."""
        return len(self._sessions)

    def start(self) -> list[str]:
        """Begin to accept; returns the listening addresses, for the log.

        Raises CannotStartError where no address could be bound.
        """
        for message in self._refused:
            self._log.event("error", {"message": message})
        if not self._bound:
            raise CannotStartError("; ".join(self._refused) or "no listener is configured")
        self._accepting = [
            self._loop.create_task(self._accept(bound.sock, bound.proxy_protocol))
            for bound in self._bound
        ]
        self._accepting.append(self._loop.create_task(self._end_silent()))
        return [_name(bound.sock) for bound in self._bound]

    async def close(self) -> None:
        """Stop accepting, remove the unix socket, end every session without draining it."""
        for task in self._accepting:
            task.cancel()
        await asyncio.gather(*self._accepting, return_exceptions=True)
        for bound in self._bound:
            close_listener(bound)
        for session in tuple(self._sessions):
            session.close()

    async def _accept(self, listening: socket.socket, proxy: bool) -> None:
        batch = 0
        while True:
            batch += 1
            if batch % _ACCEPT_BATCH == 0:
                await asyncio.sleep(0)
            try:
                sock, address = listening.accept()
            except (BlockingIOError, InterruptedError):
                await self._readable(listening)
            except OSError as error:
                self._log.event("error", {"message": f"accept: {error.strerror}"})
                await asyncio.sleep(_ACCEPT_PAUSE_S)
            else:
                # It waits here, not in the session, so that at the limit nothing more is accepted.
                await self._admit(sock, address, proxy)

    async def _admit(self, sock: socket.socket, address: Address, proxy: bool) -> None:
        try:
            admitted = await self._limit.acquire()
        except asyncio.CancelledError:
            sock.close()
            raise
        if not admitted:
            self._counters.permit_timeouts += 1
            close_socket(sock, reset=self._config.client_socket.rst_on_close != "off")
            return
        sock.setblocking(False)
        if sock.family == socket.AF_UNIX:
            peer = next(self._unix_peers)
        else:
            peer = (address[0], address[1])
            set_client_options(sock, self._config.client_socket)
        session = Session(self._shared, sock, peer, proxy)
        self._sessions.add(session)
        session.start()

    async def _end_silent(self) -> None:
        while True:
            await asyncio.sleep(_SILENCE_CHECK_S)
            for session in tuple(self._sessions):
                # A session with the fallback site has an idle timeout of its own, which is far
                # shorter.
                if session.relay is not None and session.relayed:
                    session.relay.quiet += 1
                    if session.relay.quiet > _SILENT_CHECKS:
                        session.close()

    async def _readable(self, sock: socket.socket) -> None:
        waiter = self._loop.create_future()
        self._loop.add_reader(sock, _wake, waiter)
        try:
            await waiter
        finally:
            self._loop.remove_reader(sock)

    def _ended(self, session: Session) -> None:
        self._sessions.discard(session)
        self._limit.release()


def _name(sock: socket.socket) -> str:
    name = sock.getsockname()
    return f"unix:{name}" if sock.family == socket.AF_UNIX else show((name[0], name[1]))


def _unix_peers() -> Iterator[Address]:
    """Yield the address Telemt makes up for each peer of the unix socket."""
    connection = 0
    while True:
        connection += 1
        yield "127.0.0.1", connection % 65535


def _wake(waiter: asyncio.Future[None]) -> None:
    with contextlib.suppress(asyncio.InvalidStateError):
        waiter.set_result(None)


class ConnectionLimit:
    """A permit for each session. Waiters are served in order of arrival, across all listeners."""

    def __init__(self, permits: int, timeout_ms: int) -> None:
        """permits 0 is no limit; timeout_ms 0 is no timeout."""
        self._semaphore = asyncio.Semaphore(permits) if permits else None
        self._timeout_s = timeout_ms / 1000 if timeout_ms else None

    async def acquire(self) -> bool:
        """Take a permit; False where none became free in time."""
        if self._semaphore is None:
            return True
        if not self._semaphore.locked():
            # The common case needs no timer.
            return await self._semaphore.acquire()
        try:
            async with asyncio.timeout(self._timeout_s):
                await self._semaphore.acquire()
        except TimeoutError:
            return False
        return True

    def release(self) -> None:
        """Give a permit back, once for each acquire that returned True."""
        if self._semaphore is not None:
            self._semaphore.release()
