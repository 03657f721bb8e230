"""Netlink and fresh sockets, on this machine's own kernel; nothing needs a privilege."""

from __future__ import annotations

import os
import socket
import struct
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stackctl.collector import diag, fresh, netlink, nics

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
    assert nics.default_routes(ROUTE, ROUTE6) == ["eth0", "eth1", "eth2"]
    assert nics.default_routes("", "") == []


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
        rows = {row["inode"]: row for row in diag.tcp(socket.AF_INET)}
        row = rows[os.fstat(sock.fileno()).st_ino]
        assert (row["address"], row["port"]) == sock.getsockname()
        assert (row["backlog"], row["queue"], row["uid"]) == (77, 0, os.getuid())


def test_unix_listener(tmp_path: Path) -> None:
    path = str(tmp_path / "t.sock")
    with socket.socket(socket.AF_UNIX) as sock, socket.socket(socket.AF_UNIX) as abstract:
        sock.bind(path)
        sock.listen(33)
        abstract.bind(f"\0collector-{os.getpid()}")
        abstract.listen(1)
        rows = {row["path"]: row for row in diag.unix()}
        assert (rows[path]["backlog"], rows[path]["queue"]) == (33, 0)
        assert rows[path]["inode"] == os.fstat(sock.fileno()).st_ino
        assert f"@collector-{os.getpid()}" in rows


def test_a_refused_dump_is_an_error() -> None:
    with pytest.raises(OSError, match=r"."):
        netlink.dump(netlink.SOCK_DIAG, 20, struct.pack("=BBBxI48s", 250, 6, 0, 1024, b""))


def kernel(key: str) -> str:
    return Path("/proc/sys/net", key).read_text(encoding="utf-8")


def test_fresh_sockets_agree_with_the_kernels_settings() -> None:
    seen = {name: reading.get("value") for name, reading in fresh.readings().items()}
    assert set(seen) == set(fresh.PROPERTIES)
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

    monkeypatch.setitem(fresh.PROPERTIES, "keepcnt", refuse)
    readings = fresh.readings()
    assert readings["keepcnt"] == {"error": "EPERM: Operation not permitted"}
    assert "value" in readings["keepidle"]


def test_cards() -> None:
    names = {card["name"]: card for card in nics.links().values()}
    assert "127.0.0.1/8" in names["lo"]["addresses"]
    assert not names["lo"]["default_route"]
