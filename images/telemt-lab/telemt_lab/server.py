"""Runs the double: clients' listeners, then the control pages, until a signal."""

import asyncio
import gc
import signal
from pathlib import Path

from . import NOTICE, VERSION
from .address import Address, show
from .api import Api
from .clients import Clients
from .config import Config
from .eventlog import EventLog
from .fake_tls import warm_up
from .http_server import Answer, serve_http
from .listeners import bind_tcp
from .metrics import Counters, FailedHandshakes, Metrics
from .upstream import Dialler
from .users import QuotaStateError, Users, load_quota_state, save_quota_state

_API_BACKLOG = 1024
_API_CONNECTIONS = 1024
_METRICS_CONNECTIONS = 512


async def run(config: Config, log_fd: int) -> None:
    """Serve until SIGTERM, SIGINT or SIGQUIT; the log goes to log_fd.

    Raises CannotStartError where there is nothing to listen on.
    """
    loop = asyncio.get_running_loop()
    log = EventLog(loop, log_fd)
    stopped = asyncio.Event()
    try:
        server = Server(config, loop, log)
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGQUIT):
            loop.add_signal_handler(number, _stop, number, log, server.clients, stopped)
        loop.add_signal_handler(signal.SIGHUP, _hang_up, log)
        await server.start()
        # The objects that exist now live to the end; the garbage collector need not visit them
        # again.
        gc.freeze()
        await stopped.wait()
        await server.close()
    finally:
        log.flush()


class Server:
    """The clients' listeners and the control pages beside them."""

    def __init__(self, config: Config, loop: asyncio.AbstractEventLoop, log: EventLog) -> None:
        """Bind the clients' listeners. Raises CannotStartError."""
        self._config = config
        self._log = log
        self._counters = Counters()
        self._control: list[asyncio.Server] = []
        self._failed_handshakes = FailedHandshakes(config.beobachten_minutes)
        self._users = Users(config.access)
        self._quota_path = Path(config.quota_state_path)
        try:
            load_quota_state(self._quota_path, self._users)
        except QuotaStateError as error:
            log.event("warning", {"message": str(error)})
        self._dialler = Dialler(loop, config.upstream, self._counters)
        self._watch: asyncio.Task[None] | None = None
        self.clients = Clients(
            config, loop, self._users, self._dialler, self._counters, self._failed_handshakes, log
        )

    async def start(self) -> None:
        """Serve. Raises CannotStartError where no client listener could be bound."""
        warm_up()
        for warning in self._config.warnings:
            self._log.event("warning", {"message": warning})
        listeners = self.clients.start()
        self._watch = asyncio.create_task(self._dialler.watch())
        # Only now, so that an API that answers means listeners that accept.
        await self._serve_control()
        self._log.event(
            "start",
            {"telemt": "double", "version": VERSION, "notice": NOTICE, "listeners": listeners},
        )

    async def close(self) -> None:
        """Stop accepting and end every session."""
        if self._watch is not None:
            self._watch.cancel()
        await self.clients.close()
        try:
            save_quota_state(self._quota_path, self._users)
        except QuotaStateError as error:
            self._log.event("warning", {"message": str(error)})
        for server in self._control:
            server.close()

    async def _serve_control(self) -> None:
        """Serve the API and the metrics; an address that cannot be bound is logged, as in
        Telemt."""
        config = self._config
        metrics = Metrics(
            self._counters, self._failed_handshakes, self._users, config.metrics_whitelist
        ).answer
        pages: list[tuple[Address, int, int, Answer]] = [
            (address, config.listen_backlog, _METRICS_CONNECTIONS, metrics)
            for address in config.metrics
        ]
        if config.api.enabled and config.api.address[1]:
            api = Api(config, self._users, self._dialler).answer
            pages.append((config.api.address, _API_BACKLOG, _API_CONNECTIONS, api))
        for address, backlog, connections, answer in pages:
            try:
                sock = bind_tcp(address, backlog)
            except OSError as error:
                self._log.event("error", {"message": f"cannot bind {show(address)}: {error}"})
            else:
                self._control.append(await serve_http(sock, backlog, connections, answer))


def _stop(number: signal.Signals, log: EventLog, clients: Clients, stopped: asyncio.Event) -> None:
    log.event("stop", {"signal": number.name, "sessions": clients.sessions})
    stopped.set()


def _hang_up(log: EventLog) -> None:
    log.event("hangup", {"message": "ignored: hot reload is not in the double"})
