"""Netlink and sockets, on this machine's own kernel; nothing needs a privilege."""

from __future__ import annotations

import os
import socket
import struct
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stackctl.collector import cards, netlink, sockets
from stackctl.collector.answer import Card, Reading

PROPERTY = settings(max_examples=80)

ROUTE = (
    "Iface\tDestination\tGateway\tFlags\tRefCnt\tUse\tMetric\tMask\tMTU\tWindow\tIRTT\n"
    "eth1\t00000000\t010200C0\t0003\t0\t0\t100\t00000000\t0\t0\t0\n"
    "eth0\t00000000\t010200C0\t0003\t0\t0\t0\t00000000\t0\t0\t0\n"
    "docker0\t000011AC\t00000000\t0001\t0\t0\t0\t0000FFFF\t0\t0\t0\n"
    "down0\t00000000\t010200C0\t0002\t0\t0\t0\t00000000\t0\t0\t0\n"
)
ZEROS = "0" * 32
ROUTE6 = (
    f"{ZEROS} 00 {ZEROS} 00 fe80{'0' * 28} 00000400 00000001 00000000 00000003 eth2\n"
    f"{ZEROS} 00 {ZEROS} 00 {ZEROS} ffffffff 00000001 00000000 00200200 lo\n"
)


def test_default_routes() -> None:
    assert cards.default_routes(ROUTE, ROUTE6) == ["eth0", "eth1", "eth2"]
    assert cards.default_routes("", "") == []


def test_attributes() -> None:
    raw = struct.pack("=HH3sx", 7, 3, b"abc") + struct.pack("=HH4s", 8, 0x8004, b"defg")
    assert list(netlink.attributes(raw)) == [(3, b"abc"), (4, b"defg")]


@PROPERTY
@given(st.binary(max_size=200))
def test_attributes_of_garbage(raw: bytes) -> None:
    for kind, payload in netlink.attributes(raw):
        assert 0 <= kind < 2**14
        assert len(payload) <= len(raw)


def test_tcp_listener() -> None:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        sock.listen(77)
        rows = {row.inode: row for row in netlink.tcp(socket.AF_INET)}
        row = rows[os.fstat(sock.fileno()).st_ino]
        assert (row.address, row.port) == sock.getsockname()
        assert (row.backlog, row.queue, row.path) == (77, 0, "")


def test_unix_listener(tmp_path: Path) -> None:
    path = str(tmp_path / "t.sock")
    with socket.socket(socket.AF_UNIX) as sock, socket.socket(socket.AF_UNIX) as abstract:
        sock.bind(path)
        sock.listen(33)
        abstract.bind(f"\0collector-{os.getpid()}")
        abstract.listen(1)
        rows = {row.path: row for row in netlink.unix()}
        assert (rows[path].backlog, rows[path].queue, rows[path].port) == (33, 0, 0)
        assert rows[path].inode == os.fstat(sock.fileno()).st_ino
        assert f"@collector-{os.getpid()}" in rows


def test_a_refused_dump_is_an_error() -> None:
    with pytest.raises(OSError, match=r"."):
        netlink.dump(netlink.SOCK_DIAG, 20, struct.pack("=BBBxI48s", 250, 6, 0, 1024, b""))


def kernel(key: str) -> str:
    return Path("/proc/sys/net", key).read_text(encoding="utf-8")


def test_fresh_sockets_agree_with_the_kernels_settings() -> None:
    seen = {name: reading.value for name, reading in sockets.fresh().items()}
    assert set(seen) == set(sockets.PROPERTIES)
    assert seen["congestion"] == kernel("ipv4/tcp_congestion_control").strip()
    assert seen["keepidle"] == int(kernel("ipv4/tcp_keepalive_time"))
    assert seen["keepcnt"] == int(kernel("ipv4/tcp_keepalive_probes"))
    assert seen["linger2"] == int(kernel("ipv4/tcp_fin_timeout"))
    assert seen["backlog"] == int(kernel("core/somaxconn"))
    assert seen["rcvbuf"] == int(kernel("ipv4/tcp_rmem").split()[1])
    assert seen["sndbuf"] == int(kernel("ipv4/tcp_wmem").split()[1])
    lowest, highest = (int(port) for port in kernel("ipv4/ip_local_port_range").split())
    assert lowest <= seen["ports"][0] <= seen["ports"][1] <= highest


def test_a_property_that_fails_is_its_own_error(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse() -> object:
        raise PermissionError(1, "no")

    monkeypatch.setitem(sockets.PROPERTIES, "keepcnt", refuse)
    readings = sockets.fresh()
    assert readings["keepcnt"] == Reading(error="EPERM: Operation not permitted")
    assert isinstance(readings["keepidle"].value, int)


def test_cards() -> None:
    names = {card.name: card for card in cards.links().values()}
    assert "127.0.0.1/8" in names["lo"].addresses
    assert not names["lo"].default_route


def test_cards_with_a_default_route_come_first(monkeypatch: pytest.MonkeyPatch) -> None:
    three = {n: Card(name, True, False, (), ()) for n, name in enumerate(("lo", "eth0", "eth1"))}
    monkeypatch.setattr(cards, "links", lambda: three)
    monkeypatch.setattr(cards, "_read", lambda name: ROUTE if name == "route" else "")
    found = cards.collect().get("cards")
    assert [(card.name, card.default_route) for card in found] == [
        ("eth0", True),
        ("eth1", True),
        ("lo", False),
    ]


def test_cards_that_cannot_be_listed(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse() -> object:
        raise PermissionError(1, "no")

    monkeypatch.setattr(cards, "links", refuse)
    assert cards.collect().error == "EPERM: Operation not permitted"


def test_options_of_a_live_socket() -> None:
    with (
        socket.create_server(("127.0.0.1", 0)) as server,
        socket.create_connection(server.getsockname()) as sock,
    ):
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, 77)
        peer = sockets.shown(sock.getpeername())
        seen = sockets.live(os.getpid(), sock.fileno(), peer)
        other = sockets.live(os.getpid(), sock.fileno(), "192.0.2.1:1")
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 50000)
        bounded = sockets.live(os.getpid(), sock.fileno(), peer)
    live = seen.get("socket")
    assert (live.link, live.peer) == ("tcp", peer)
    assert (live.options["keepidle"], live.options["keepalive"]) == (Reading(77), Reading(1))
    assert live.options["congestion"].value == kernel("ipv4/tcp_congestion_control").strip()
    assert "another connection" in other.error
    assert live.options["buffers_asked"] == Reading(0)
    after = bounded.get("socket").options
    assert (after["rcvbuf"], after["buffers_asked"]) == (Reading(100000), Reading(2))


def test_options_of_a_unix_socket_and_of_none() -> None:
    left, right = socket.socketpair()
    with left, right:
        left.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 65536)
        seen = sockets.live(os.getpid(), left.fileno())
    live = seen.get("socket")
    assert (live.link, live.peer) == ("unix", "")
    assert set(live.options) == {"rcvbuf", "sndbuf", "buffers_asked"}
    assert (live.options["sndbuf"], live.options["buffers_asked"]) == (Reading(131072), Reading(1))
    assert sockets.live(os.getpid(), 10**6).error.startswith("pidfd_getfd: EBADF")
