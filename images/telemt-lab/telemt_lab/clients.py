"""The clients' side: listening sockets, the limit, and every session there is."""

import asyncio
import contextlib
import functools
import socket
from collections.abc import Iterator

from .address import Address, show
from .beobachten import Beobachten
from .config import Config
from .counters import Counters
from .eventlog import EventLog
from .fields import contains
from .gate import Gate
from .limiter import ConnectionLimit
from .listeners import CannotStartError, bind_listeners, close_listener, set_client_options
from .masking import Masking
from .relay import CHUNK_BYTES
from .session import Host, Session, close_socket
from .upstream import Dialler
from .users import Users

# After so many accepts in a row the sessions get their turn.
_ACCEPT_BATCH = 64
# Out of descriptors, mostly: the connection stays queued, and asking again at once would only spin.
_ACCEPT_PAUSE_S = 0.1
# A relay that carries nothing for 30 minutes is over.
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
        beobachten: Beobachten,
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
        gate = Gate(config.modes, config.access, config.censorship, users)
        self._host = Host(
            loop=loop,
            chunk=memoryview(bytearray(CHUNK_BYTES)),
            config=config,
            # The peers are a handful of balancers: each is looked up once.
            trusts=functools.lru_cache(1024)(functools.partial(contains, config.trusted)),
            gate=gate,
            users=users,
            dialler=dialler,
            masking=Masking(loop, config.censorship),
            counters=counters,
            beobachten=beobachten,
            log=log,
            ended=self._ended,
        )

    @property
    def sessions(self) -> int:
        """How many sessions there are now."""
        return len(self._sessions)

    def start(self) -> list[str]:
        """Begin to accept; returns the addresses listened on, for the log.

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
                # Waiting here, not in the session: at the limit nothing more is accepted.
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
        session = Session(self._host, sock, peer, proxy)
        self._sessions.add(session)
        session.start()

    async def _end_silent(self) -> None:
        while True:
            await asyncio.sleep(_SILENCE_CHECK_S)
            for session in tuple(self._sessions):
                # A stranger's silence is watched by its session, and far more closely.
                if session.tie is not None and session.relayed:
                    session.tie.quiet += 1
                    if session.tie.quiet > _SILENT_CHECKS:
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
