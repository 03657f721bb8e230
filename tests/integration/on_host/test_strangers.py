"""A peer that is not an MTProto client costs little, learns nothing, and is not trusted."""

from __future__ import annotations

import re
import socket
import ssl
import struct
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, suppress
from ipaddress import ip_address

import pytest
import yaml

from ..client import (
    connect,
    get,
    gets_through,
    metric,
    on_loopback,
    secret_of,
    shake,
    telemt_toml,
)
from ..command import server_rows
from ..conftest import TELEMT, MakeLab, started
from ..lab import Lab, until

REPLICAS = ("telemt-1", "telemt-2")
CLAIMED = "192.0.2.77"
"""An address reserved for documentation: no client has it."""

V1 = f"PROXY TCP4 {CLAIMED} 127.0.0.1 4242 443\r\n".encode()
V2 = (
    b"\r\n\r\n\x00\r\nQUIT\n\x21\x11"
    + struct.pack("!H", 12)
    + ip_address(CLAIMED).packed
    + ip_address("127.0.0.1").packed
    + struct.pack("!HH", 4242, 443)
)


@pytest.fixture(scope="module", params=["unix", "tcp"])
def lab(request: pytest.FixtureRequest, on_host: Callable[[str], Lab]) -> Lab:
    """Both links, one after the other."""
    return on_host(request.param)


def clients_now(lab: Lab) -> int:
    """Client connections that HAProxy has at this moment."""
    head, *rows = (line.split(",") for line in lab.admin("show stat").splitlines() if line)
    named = [dict(zip(head, row, strict=False)) for row in rows]
    (row,) = (r for r in named if (r["# pxname"], r["svname"]) == ("clients", "FRONTEND"))
    return int(row["scur"])


def given_to_replicas(lab: Lab) -> int:
    """Connections that HAProxy has given to replicas so far."""
    return sum(int(row["stot"]) for row in server_rows(lab).values())


def accepted(lab: Lab) -> float:
    """Connections that the replicas have accepted so far."""
    return sum(metric(lab, name, "telemt_connections_total") for name in REPLICAS)


def test_a_mute_client_opens_nothing_on_telemt(lab: Lab) -> None:
    until(lambda: clients_now(lab) == 0, 60, "no client left of another test")
    before, sessions = accepted(lab), given_to_replicas(lab)
    with connect(lab.port), connect(lab.port), connect(lab.port):
        until(lambda: clients_now(lab) == 3, 60, "HAProxy has all three")
        # One that came later and speaks is served meanwhile, and counted: the counters are alive.
        gets_through(lab)
        assert accepted(lab) == before + 1
        assert given_to_replicas(lab) == sessions + 1


def test_a_scanner_sees_the_mask_site(lab: Lab) -> None:
    hello = ssl.create_default_context()
    hello.check_hostname = False
    hello.verify_mode = ssl.CERT_NONE
    with connect(lab.port) as raw, hello.wrap_socket(raw, server_hostname="www.example.com") as tls:
        tls.sendall(b"GET / HTTP/1.0\r\nHost: www.example.com\r\n\r\n")
        assert tls.recv(4096).startswith(b"HTTP/1.")
    status, page = get(f"127.0.0.1:{lab.port}", "/")
    assert status == 200
    assert "lab" in page.lower()


def test_without_a_mask_a_scanner_sees_nothing(make_lab: MakeLab) -> None:
    lab = started(make_lab(telemt=TELEMT.replace("{", "{mask: off, ", 1), replicas=1))
    with connect(lab.port) as sock:
        sock.sendall(b"GET / HTTP/1.0\r\nHost: www.example.com\r\n\r\n" + bytes(200))
        try:
            assert sock.recv(4096) == b""
        except ConnectionResetError:
            return


@pytest.mark.parametrize("header", [V1, V2], ids=["v1", "v2"])
def test_a_proxy_header_from_outside_is_not_believed(lab: Lab, header: bytes) -> None:
    with connect(lab.port, on_loopback(1, of=33)[0]) as sock:
        sock.sendall(header)
        shake(sock, secret_of(lab, "secure"))
    for name in REPLICAS:
        listen = str(telemt_toml(lab, name)["server"]["metrics_listen"])
        status, page = get(listen, "/beobachten")
        assert status == 200
        assert CLAIMED not in page
        assert CLAIMED not in lab.container(name).logs().decode()


@pytest.fixture(scope="module")
def bridge(make_shared: MakeLab) -> Lab:
    """TCP links on their own network, where another host of that network could connect."""
    return started(make_shared(network="bridge", link="tcp", telemt=TELEMT))


def replica_address(lab: Lab) -> str:
    """Where a replica of a bridge stack is; this machine reaches it as the bridge's gateway."""
    compose = yaml.safe_load((lab.rendered / "compose.yaml").read_text())
    return str(compose["services"]["telemt-1"]["networks"]["stack"]["ipv4_address"])


@pytest.mark.parametrize("header", [V1, V2], ids=["v1", "v2"])
def test_a_replica_takes_headers_from_haproxy_alone(bridge: Lab, header: bytes) -> None:
    try:
        with connect(9443, host=replica_address(bridge)) as sock:
            sock.sendall(header)
            assert shake(sock, secret_of(bridge, "secure")).failure
    except ConnectionError:
        # Telemt resets a peer that it does not trust, perhaps before connect() returns.
        pass
    assert CLAIMED not in bridge.container("telemt-1").logs().decode()
    gets_through(bridge)


@pytest.mark.parametrize(("port", "path"), [(9091, "/v1/users"), (9090, "/metrics")])
def test_api_and_metrics_answer_nobody_outside(bridge: Lab, port: int, path: str) -> None:
    try:
        with socket.create_connection((replica_address(bridge), port), timeout=3) as sock:
            sock.sendall(f"GET {path} HTTP/1.0\r\n\r\n".encode())
            answer = sock.recv(4096)
    except OSError:
        return
    assert not re.match(rb"HTTP/1\.[01] 2", answer), answer[:80]
    for secret in yaml.safe_load((bridge.folder / "secrets.yaml").read_text())["users"].values():
        assert secret.encode() not in answer


def test_on_the_hosts_network_the_api_asks_local_users_for_its_secret(lab: Lab) -> None:
    api = telemt_toml(lab, "telemt-1")["server"]["api"]
    assert isinstance(api, dict)
    status, body = get(api["listen"], "/v1/users")
    assert status == 401
    users = yaml.safe_load((lab.folder / "secrets.yaml").read_text())
    assert not any(secret in body for secret in users["users"].values())
    status, body = get(api["listen"], "/v1/health", Authorization=f"Bearer {users['api']}")
    assert status == 200


def test_a_flood_from_one_address_is_bounded_and_a_crowd_below_it_is_not(make_lab: MakeLab) -> None:
    lab = started(make_lab(network="host", telemt=TELEMT, per_address="{connections: 20}"))
    crowd, other = on_loopback(2, of=34)
    with ExitStack() as held, ThreadPoolExecutor(max_workers=20) as pool:

        def gets_in(_: int) -> bool:
            try:
                sock = held.enter_context(connect(lab.port, crowd))
            except ConnectionError:
                # The reset may be quicker than connect() is.
                return False
            return shake(sock, secret_of(lab, "secure")).failure is None

        assert all(pool.map(gets_in, range(20))), "the crowd is not above the number"
        assert not any(pool.map(gets_in, range(20)))
        # Another client is served meanwhile.
        gets_through(lab, source=other)
    until(lambda: "src=127.34." not in lab.admin("show sess"), 60, "the crowd gone")
    gets_through(lab, source=crowd)


def test_new_connections_of_one_address_are_bounded_by_rate(make_lab: MakeLab) -> None:
    lab = started(make_lab(network="host", telemt=TELEMT, per_address="{rate: 30}", replicas=1))
    eager, other = on_loopback(2, of=35)
    secret = secret_of(lab, "secure")
    with ExitStack() as held, ThreadPoolExecutor(max_workers=45) as pool:
        socks = []
        # The rate is of ten seconds, so all connect at once; handshakes may take their time.
        for _ in range(45):
            with suppress(ConnectionError):
                socks.append(held.enter_context(connect(lab.port, eager)))
        made = list(pool.map(lambda sock: shake(sock, secret).failure is None, socks))
        assert sum(made) == 30
        gets_through(lab, source=other)
