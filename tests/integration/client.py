"""Clients of a running stack: Telegram clients, and connections that are not MTProto."""

from __future__ import annotations

import re
import socket
import time
import tomllib
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from http.client import HTTPConnection
from typing import TYPE_CHECKING

import yaml

from stackctl.mtproto import Attempt, Mode, Secret, attempt

if TYPE_CHECKING:
    from collections.abc import Iterator

    from .lab import Lab

SECONDS = 20.0
_NO_PORT_YET = 24  # IP_BIND_ADDRESS_NO_PORT


def secret_of(lab: Lab, mode: Mode, user: str = "") -> Secret:
    """A user's secret; the first user's unless named."""
    users = yaml.safe_load((lab.folder / "secrets.yaml").read_text())["users"]
    digits = users[user] if user else next(iter(users.values()))
    return Secret(mode, bytes.fromhex(digits), "www.example.com" if mode == "tls" else "")


def connect(port: int, source: str = "", host: str = "127.0.0.1") -> socket.socket:
    """A connection to a stack, from a loopback address of choice."""
    sock = socket.socket()
    sock.settimeout(SECONDS)
    if source:
        sock.setsockopt(socket.IPPROTO_IP, _NO_PORT_YET, 1)
        sock.bind((source, 0))
    sock.connect((host, port))
    return sock


def shake(sock: socket.socket, secret: Secret) -> Attempt:
    """The handshake on a connection, up to the data centre's first answer."""
    return attempt(sock, secret, deadline=time.monotonic() + SECONDS)


@contextmanager
def client(lab: Lab, mode: Mode = "secure", source: str = "") -> Iterator[socket.socket]:
    """A client that got its answer, connected until the end of the block."""
    with connect(lab.port, source) as sock:
        made = shake(sock, secret_of(lab, mode))
        assert made.failure is None, made.failure
        yield sock


def gets_through(lab: Lab, mode: Mode = "secure", source: str = "") -> None:
    """A client connects, gets the data centre's answer, and disconnects."""
    with client(lab, mode, source):
        pass


def served_by(lab: Lab, sources: Sequence[str], mode: Mode = "secure") -> dict[str, str]:
    """Which replica each address's client is on, as HAProxy says while all of them are there."""
    with ThreadPoolExecutor(max_workers=16) as pool:
        socks = list(pool.map(lambda source: connect(lab.port, source), sources))
        try:
            made = list(pool.map(lambda sock: shake(sock, secret_of(lab, mode)), socks))
            assert [one.failure for one in made if one.failure] == []
            sessions = lab.admin("show sess").splitlines()
        finally:
            for sock in socks:
                sock.close()
    found = {}
    for line in sessions:
        match = re.search(r"src=(?:::ffff:)?([\d.]+):\d+ fe=clients .* srv=(telemt-\d+)", line)
        if match and match[1] in sources:
            found[match[1]] = match[2]
    assert set(found) == set(sources), set(sources) - set(found)
    return found


def on_loopback(count: int, of: int = 31) -> list[str]:
    """That many addresses of 127/8 that no other test uses."""
    return [f"127.{of}.{n // 200}.{1 + n % 200}" for n in range(count)]


def get(address: str, path: str, source: str = "", **headers: str) -> tuple[int, str]:
    """Status and body of an HTTP answer."""
    host, _, port = address.rpartition(":")
    bound = (source, 0) if source else None
    http = HTTPConnection(host, int(port), timeout=5, source_address=bound)
    try:
        http.request("GET", path, headers=headers)
        answer = http.getresponse()
        return answer.status, answer.read().decode()
    finally:
        http.close()


def telemt_toml(lab: Lab, target: str) -> dict[str, dict[str, object]]:
    """A replica's configuration without what it includes."""
    text = (lab.rendered / f"telemt/{target}/telemt.toml").read_text()
    return tomllib.loads(text.rpartition("include =")[0])


def metric(lab: Lab, target: str, name: str) -> float:
    """A counter of a replica of a stack on the host's network."""
    status, body = get(str(telemt_toml(lab, target)["server"]["metrics_listen"]), "/metrics")
    assert status == 200, body
    values = re.findall(rf"^{re.escape(name)}(?:\{{[^}}]*\}})? (\S+)$", body, re.MULTILINE)
    assert values, f"{target} has no {name}"
    return sum(map(float, values))
