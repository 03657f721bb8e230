"""The double in a thread of its own, so that the tests may use plain blocking sockets."""

import asyncio
import json
import os
import random
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import uvloop

from mtpeer import Peer

ROOT = Path(__file__).parents[3]
sys.path.insert(0, str(ROOT / "images" / "telemt-lab"))

from lab_dc.server import Arguments  # noqa: E402
from lab_dc.server import Server as Datacentre  # noqa: E402
from telemt_lab.eventlog import EventLog  # noqa: E402
from telemt_lab.load import load  # noqa: E402
from telemt_lab.server import Server  # noqa: E402

SECRET = "00112233445566778899aabbccddeeff"
DOMAIN = "www.example.com"
MODES = "{classic = true, secure = true, tls = true}"
# Fast and to the point; the tests that are about the delay or the mask ask for them.
CENSORSHIP = "mask = false\nserver_hello_delay_max_ms = 0"
API_PORT, METRICS_PORT, BINARY_PORT = 9091, 9090, 9443
# With a binary given, what a client sees is compared with it: the same tests run against it too.
BINARY = os.environ.get("TELEMT_BINARY", "")
COMPARED = {"test_handshake", "test_fallback", "test_limits"}
PATIENCE_S = 30
"""How long a test waits for what comes at once: only a failure, or a machine that hangs, waits."""
LOOPS = {"uvloop": uvloop.new_event_loop, "asyncio": asyncio.new_event_loop}


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Leave out the binary where a test is about the double itself: its log, its own words."""
    items[:] = [item for item in items if "[binary" not in item.name or item.path.stem in COMPARED]


@dataclass(frozen=True)
class Lab:
    """A running double."""

    config_path: Path
    log_path: Path
    host: str
    port: int = 0

    @property
    def api(self) -> tuple[str, int]:
        return self.host, API_PORT

    @property
    def metrics(self) -> tuple[str, int]:
        return self.host, METRICS_PORT

    def events(self, name: str) -> list[dict[str, object]]:
        """The events of a name, in order, as far as they are written."""
        # What follows the last newline is still being written.
        lines = self.log_path.read_text().split("\n")[:-1]
        return [event for event in map(json.loads, lines) if event["event"] == name]

    def connect(self) -> socket.socket:
        """A connection to the first TCP listener."""
        if self.port:
            return socket.create_connection((self.host, self.port), timeout=PATIENCE_S)
        host, _, port = str(self.events("start")[0]["listeners"][0]).rpartition(":")
        return socket.create_connection((host, int(port)), timeout=PATIENCE_S)

    def peer(self, mode: str = "secure", domain: str = DOMAIN) -> Peer:
        """A connection to the first TCP listener that has said nothing yet."""
        return Peer(self.connect(), mode, bytes.fromhex(SECRET), domain)

    def metric(self, name: str) -> float:
        """A metric's value now; 0 while it has none."""
        for line in http(self.metrics, "/metrics")[2].splitlines():
            if line.startswith(f"telemt_{name} "):
                return float(line.split()[1])
        return 0


def http(
    address: tuple[str, int], path: str, *headers: str, method: str = "GET"
) -> tuple[int, str, str]:
    """Status, head and body of an answer; status 0 where the connection closes without one."""
    with socket.create_connection(address, timeout=PATIENCE_S) as client:
        lines = [f"{method} {path} HTTP/1.1", "Host: lab", "Connection: close", *headers, "", ""]
        client.sendall("\r\n".join(lines).encode())
        reply = b""
        while chunk := client.recv(65536):
            reply += chunk
    head, _, body = reply.decode().partition("\r\n\r\n")
    # Telemt's page goes on with the fingerprints of ClientHellos, which the double has not.
    body = body.partition("\n[tls_fingerprints]")[0]
    return int(head.split()[1]) if head else 0, head, body


@pytest.fixture(name="http")
def http_fixture() -> Callable[..., tuple[int, str, str]]:
    return http


def unused_host() -> str:
    """A loopback address of its own for each double: no free port has to be guessed."""
    return ".".join(["127", *(str(random.randint(1, 254)) for _ in range(3))])


@pytest.fixture
def eventually() -> Callable[[Callable[[], object], object], None]:
    """Wait until a check gives what is wanted: what a client sees may come before it is counted."""

    def wait(check: Callable[[], object], wanted: object) -> None:
        deadline = time.monotonic() + PATIENCE_S
        while (got := check()) != wanted and time.monotonic() < deadline:
            time.sleep(0.005)
        assert got == wanted

    return wait


@pytest.fixture(name="unused_host")
def unused_host_fixture() -> str:
    return unused_host()


@dataclass(frozen=True)
class Centre:
    """A running lab data centre."""

    dc: tuple[str, int]
    site: tuple[str, int]
    status: tuple[str, int]

    def overrides(self) -> str:
        """The [dc_overrides] table that leads to it."""
        host, port = self.dc
        numbers = [*range(1, 6), 203, -2]
        return "[dc_overrides]\n" + "\n".join(f'"{dc}" = "{host}:{port}"' for dc in numbers)


@pytest.fixture(scope="session", name="centre")
def centre_fixture() -> Iterator[Centre]:
    loop = uvloop.new_event_loop()
    anywhere = ("127.0.0.1", 0)
    server = Datacentre(Arguments(anywhere, anywhere, anywhere, DOMAIN))
    addresses = loop.run_until_complete(server.start())
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    yield Centre(*addresses)
    loop.call_soon_threadsafe(server.close)
    loop.call_soon_threadsafe(loop.stop)
    thread.join(PATIENCE_S)
    loop.close()


@pytest.fixture(params=[*LOOPS, *(["binary"] if BINARY else [])])
def lab(
    request: pytest.FixtureRequest, tmp_path: Path, centre: Centre
) -> Iterator[Callable[..., Lab]]:
    """Start a double: server, api and so on are lines for those tables, extra is whole tables."""
    stops: list[Callable[[], None]] = []

    def start(
        server: str = "",
        api: str = "",
        extra: str = "",
        general: str = "",
        host: str = "",
        modes: str = MODES,
        censorship: str = CENSORSHIP,
        datacentres: str = "",
        users: str = "",
    ) -> Lab:
        host = host or unused_host()
        config_path = tmp_path / f"telemt{len(stops)}.toml"
        config_path.write_text(
            f"""
            [general]
            config_strict = true
            quota_state_path = "{tmp_path}/quota.json"
            modes = {modes}
            {general}
            [censorship]
            tls_domain = "{DOMAIN}"
            {censorship}
            [access.users]
            alice = "{SECRET}"
            {users}
            [server]
            port = 0
            listen_addr_ipv4 = "127.0.0.1"
            metrics_listen = "{host}:{METRICS_PORT}"
            {server}
            [server.api]
            listen = "{host}:{API_PORT}"
            {api}
            {datacentres or centre.overrides()}
            {extra}
            """
        )
        log_path = tmp_path / f"log{len(stops)}"
        if request.param == "binary":
            stops.append(_start_binary(config_path, log_path, host))
            return Lab(config_path, log_path, host, BINARY_PORT)
        stops.append(_start_thread(config_path, log_path, LOOPS[request.param]))
        return Lab(config_path, log_path, host)

    yield start
    for stop in stops:
        stop()


def _start_binary(config_path: Path, log_path: Path, host: str) -> Callable[[], None]:
    """Run the given Telemt on the same file, where it needs more than the double to be alone."""
    text = config_path.read_text()
    for line, instead in {
        "config_strict = true": "config_strict = true\nuse_middle_proxy = false\n"
        "middle_proxy_nat_probe = false\n"
        'links = {public_host = "127.0.0.1", public_port = 443}',
        'tls_domain = "www.example.com"': 'tls_domain = "www.example.com"\ntls_emulation = false',
        "port = 0": f"port = {BINARY_PORT}\nmetrics_whitelist = ['127.0.0.0/8']\n"
        "conntrack_control = {inline_conntrack_control = false}",
        'listen_addr_ipv4 = "127.0.0.1"': f'listeners = [{{ip = "{host}", port = {BINARY_PORT}}}]',
    }.items():
        assert line in text
        text = text.replace(line, instead, 1)
    config_path.write_text(f"{text}\n[network]\nstun_use = false\n")
    with log_path.open("wb") as log_file:
        # In its own folder: it writes its relative paths (beobachten.txt) where it is started.
        process = subprocess.Popen(
            [str(Path(BINARY).absolute()), str(config_path)],
            stdout=log_file,
            stderr=log_file,
            cwd=config_path.parent,
        )
    deadline = time.monotonic() + PATIENCE_S
    while process.poll() is None and time.monotonic() < deadline:
        try:
            # The API comes last.
            socket.create_connection((host, API_PORT), timeout=1).close()
            break
        except OSError:
            time.sleep(0.02)

    def stop() -> None:
        assert process.poll() is None, log_path.read_text()
        process.terminate()
        process.wait(PATIENCE_S)

    return stop


def _start_thread(
    config_path: Path, log_path: Path, new_loop: Callable[[], asyncio.AbstractEventLoop]
) -> Callable[[], None]:
    """Run a server in a thread until the returned function is called; errors come out of that."""
    started = threading.Event()
    failure: list[BaseException] = []
    loop = new_loop()
    stopped = asyncio.Event()

    async def serve() -> None:
        with log_path.open("wb", buffering=0) as log_file:
            log = EventLog(loop, log_file.fileno(), flush_s=0.005)
            server = Server(load(config_path), loop, log)
            await server.start()
            log.flush()
            started.set()
            await stopped.wait()
            await server.close()
            log.flush()

    def work() -> None:
        try:
            loop.run_until_complete(serve())
        except BaseException as error:
            failure.append(error)
        finally:
            started.set()
            loop.close()

    thread = threading.Thread(target=work)
    thread.start()
    started.wait()

    def stop() -> None:
        if thread.is_alive():
            loop.call_soon_threadsafe(stopped.set)
        thread.join(PATIENCE_S)
        assert not thread.is_alive()
        assert not failure

    if failure:
        thread.join()
        raise failure[0]
    return stop
