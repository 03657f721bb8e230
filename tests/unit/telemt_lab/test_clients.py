"""Listeners and sessions of a running double, on both event loops."""

import contextlib
import os
import socket
import stat
import struct
import threading
import time
import weakref
from pathlib import Path

import pytest
from pyroute2 import DiagSocket
from pyroute2.netlink.diag import SS_LISTEN, UDIAG_SHOW_NAME, UDIAG_SHOW_RQLEN

from mtpeer import TAGS, Peer, opening
from telemt_lab.config import ClientSocket
from telemt_lab.handshake import Handshake
from telemt_lab.listeners import CannotStartError, set_client_options
from telemt_lab.upstream import Dialler

SECRET = bytes.fromhex("00112233445566778899aabbccddeeff")
PATIENCE_S = 30
PING = 0x7ABE77EC
DOMAIN = "www.example.com"
V2_LOCAL = b"\r\n\r\n\x00\r\nQUIT\n\x20\x00\x00\x00"
V2_TCP4 = (
    b"\r\n\r\n\x00\r\nQUIT\n\x21\x11\x00\x0c"
    + bytes([192, 0, 2, 7, 10, 0, 0, 1])
    + b"\x9c\x40\x01\xbb"
)
V1_TCP6 = b"PROXY TCP6 2001:db8::7 ::1 40000 443\r\n"
V1_TCP4 = b"PROXY TCP4 192.0.2.7 10.0.0.1 40000 443\r\n"


def unix_client(path: Path) -> socket.socket:
    client = socket.socket(socket.AF_UNIX)
    client.settimeout(PATIENCE_S)
    client.connect(str(path))
    return client


_peers: weakref.WeakKeyDictionary[socket.socket, Peer] = weakref.WeakKeyDictionary()


def served(client: socket.socket, mode: str = "secure") -> bool:
    """Whether the data centre answers this client, who shakes hands first if it has not yet."""
    peer = _peers.get(client)
    if peer is None:
        peer = _peers[client] = Peer(client, mode, SECRET, DOMAIN).start()
    peer.req_pq()
    return True


def exactly(client: socket.socket, count: int) -> bytes:
    received = b""
    while len(received) < count and (chunk := client.recv(count - len(received))):
        received += chunk
    return received


def bad(lab_now, reason: str) -> float:
    return lab_now.metric(f'connections_bad_by_class_total{{class="{reason}"}}')


def test_without_proxy_protocol(lab, eventually) -> None:
    running = lab()
    with running.connect() as client:
        assert served(client)
        own = "{}:{}".format(*client.getsockname())
    eventually(
        lambda: running.events("client"),
        [{"event": "client", "client": own, "peer": own, "via": "direct"}],
    )


@pytest.mark.parametrize(
    ("header", "client", "via"),
    [
        (V2_TCP4, "192.0.2.7:40000", "proxy_v2"),
        (V1_TCP4, "192.0.2.7:40000", "proxy_v1"),
        (V1_TCP6, "[2001:db8::7]:40000", "proxy_v1"),
        (b"PROXY TCP6 ::ffff:192.0.2.7 ::1 1 2\r\n", "192.0.2.7:1", "proxy_v1"),
        (V2_LOCAL, "127.0.0.1:1", "proxy_v2"),
        (b"PROXY UNKNOWN\r\n", "127.0.0.1:1", "proxy_v1"),
    ],
)
def test_proxy_header_on_the_unix_socket(
    lab,
    tmp_path: Path,
    header: bytes,
    client: str,
    via: str,
    eventually,
) -> None:
    running = lab(
        f'listen_unix_sock = "{tmp_path}/s"\nlisten_tcp = false\nproxy_protocol = true\n'
        'proxy_protocol_trusted_cidrs = ["127.0.0.1/32"]'
    )
    with unix_client(tmp_path / "s") as sock:
        sock.sendall(header)
        assert served(sock)
    eventually(
        lambda: running.events("client"),
        [{"event": "client", "client": client, "peer": "127.0.0.1:1", "via": via}],
    )


def test_a_header_may_come_byte_by_byte(lab) -> None:
    running = lab("proxy_protocol = true")
    with running.connect() as client:
        client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for byte in V2_TCP4:
            client.sendall(bytes([byte]))
            time.sleep(0.0005)
        assert served(client)
    assert running.metric("connections_bad_total") == 0


def test_a_listener_may_differ_from_the_server(lab) -> None:
    running = lab(
        'proxy_protocol = true\nlisteners = [{ip = "127.0.0.1", port = 0, proxy_protocol = false}]'
    )
    with running.connect() as client:
        assert served(client)


@pytest.mark.parametrize("trusted", ['"10.0.0.0/8"', ""])
def test_an_untrusted_peer_is_closed_and_counted(lab, trusted: str) -> None:
    running = lab(f"proxy_protocol = true\nproxy_protocol_trusted_cidrs = [{trusted}]")
    with running.connect() as client:
        assert client.recv(1) == b""
    assert bad(running, "proxy_protocol_untrusted") == 1
    assert running.metric("connections_bad_total") == 1
    assert running.metric("connections_total") == 1
    assert running.events("client") == []


@pytest.mark.parametrize("sent", [b"GET / HTTP/1.1\r\n\r\n", b"PROXY TCP4 1.2.3", b""])
def test_an_invalid_or_broken_off_header_is_counted(lab, sent: bytes) -> None:
    running = lab("proxy_protocol = true")
    with running.connect() as client:
        client.sendall(sent)
        client.shutdown(socket.SHUT_WR)
        assert client.recv(1) == b""
    assert bad(running, "proxy_protocol_invalid_header") == 1


def test_a_header_that_never_comes_is_counted_as_late(lab) -> None:
    running = lab("proxy_protocol = true\nproxy_protocol_header_timeout_ms = 30")
    with running.connect() as client:
        client.sendall(V2_TCP4[:20])
        assert client.recv(1) == b""
    assert bad(running, "proxy_protocol_header_timeout") == 1


def test_the_header_timeout_ends_with_the_header(lab) -> None:
    running = lab("proxy_protocol = true\nproxy_protocol_header_timeout_ms = 300")
    with running.connect() as client:
        client.sendall(V2_TCP4[:20])
        client.sendall(V2_TCP4[20:])
        client.settimeout(0.4)
        # The timeout passes, and the client is still there.
        with pytest.raises(TimeoutError):
            client.recv(1)
        client.settimeout(PATIENCE_S)
        assert served(client)


@pytest.mark.parametrize("mode", ["off", "errors", "always"])
def test_rst_on_close(lab, mode: str) -> None:
    general = f'rst_on_close = "{mode}"'
    hasty = lab("proxy_protocol = true\nproxy_protocol_header_timeout_ms = 20", general=general)
    with hasty.connect() as late:
        assert closed_by_reset(late) == (mode != "off")
    running = lab("proxy_protocol = true", general=general)
    with running.connect() as early:
        early.sendall(V1_TCP4 + bytes(10))
        early.shutdown(socket.SHUT_WR)
        assert closed_by_reset(early) == (mode != "off")
    with running.connect() as client:
        client.sendall(V1_TCP4)
        assert served(client)
        client.shutdown(socket.SHUT_WR)
        # Both ends are told that there is nothing more before anything is closed.
        assert not closed_by_reset(client)


def closed_by_reset(client: socket.socket) -> bool:
    try:
        assert client.recv(1) == b""
    except ConnectionResetError:
        return True
    return False


@pytest.mark.parametrize("mode", ["secure", "tls", "classic", "abridged"])
def test_half_close_gets_everything_back_before_the_end(lab, mode: str) -> None:
    data = bytes(range(256)) * 2048
    peer = lab().peer(mode).start()
    with peer.sock:
        peer.send(bytes(8) + struct.pack("<I", PING) + data)
        peer.sock.shutdown(socket.SHUT_WR)
        assert peer.receive()[12:].startswith(data)
        assert peer.sock.recv(1) == b""


@pytest.mark.parametrize("mode", ["secure", "tls"])
def test_a_client_that_does_not_read_is_not_read_from(lab, mode: str) -> None:
    running = lab()
    block = os.urandom(64 * 1024)
    peer = running.peer(mode).start()
    with peer.sock as client:
        frames = 0
        with contextlib.suppress(TimeoutError):
            while frames < 4096:
                wire = peer.frame(bytes(8) + struct.pack("<I", PING) + block)
                at = 0
                while at < len(wire):
                    at += client.send(wire[at:])
                    # From the first bytes on: what is taken no more ends the loop.
                    client.settimeout(0.2)
                frames += 1
        # Socket buffers of four sockets and a chunk each way: far from all that could be taken.
        assert 0 < frames < 1024
        with running.connect() as other:
            assert served(other)
        client.settimeout(PATIENCE_S)
        # What is left of the frame that did not fit, or the stream ends within a record.
        rest = threading.Thread(target=client.sendall, args=(wire[at:],))
        rest.start()
        for _ in range(frames):
            assert peer.receive()[12:].startswith(block)
        rest.join(PATIENCE_S)


def test_at_the_limit_the_next_one_waits_then_is_dropped_and_counted(lab) -> None:
    running = lab("max_connections = 1\naccept_permit_timeout_ms = 50")
    with running.connect() as first:
        assert served(first)
        began = time.monotonic()
        with running.connect() as second:
            assert second.recv(1) == b""
            assert time.monotonic() - began >= 0.05
        assert running.metric("accept_permit_timeout_total") == 1
        assert running.metric("connections_total") == 1
        assert served(first)


def test_at_the_limit_a_freed_place_goes_to_the_one_who_waits(lab) -> None:
    running = lab("max_connections = 1\naccept_permit_timeout_ms = 0")
    first, second = running.connect(), running.connect()
    with first, second:
        assert served(first)
        second.settimeout(0.05)
        with pytest.raises(TimeoutError):
            served(second, "tls")
        first.close()
        second.settimeout(PATIENCE_S)
        assert second.recv(1) == b"\x16"
    assert running.metric("accept_permit_timeout_total") == 0


def test_the_limit_holds_over_all_listeners(lab, tmp_path: Path) -> None:
    running = lab(
        f'listen_unix_sock = "{tmp_path}/s"\nmax_connections = 1\naccept_permit_timeout_ms = 20'
    )
    with running.connect() as first:
        # Before the second connects: the listeners do not take turns in the order of connects.
        assert served(first)
        with unix_client(tmp_path / "s") as second:
            assert second.recv(1) == b""


def test_refused_sessions_give_their_place_back(lab) -> None:
    running = lab("max_connections = 1\nproxy_protocol = true\naccept_permit_timeout_ms = 0")
    for _ in range(3):
        with running.connect() as client:
            client.sendall(b"not a PROXY header")
            assert client.recv(1) == b""
    with running.connect() as client:
        client.sendall(V1_TCP4)
        assert served(client)


def test_the_unix_socket_replaces_a_stale_one_and_goes_at_the_end(lab, tmp_path: Path) -> None:
    path = tmp_path / "s"
    with socket.socket(socket.AF_UNIX) as stale:
        stale.bind(str(path))
    lab(f'listen_unix_sock = "{path}"\nlisten_unix_sock_perm = "0622"\nlisten_tcp = false')
    assert stat.S_IMODE(path.stat().st_mode) == 0o622
    with unix_client(path) as client:
        assert served(client)


def test_a_file_in_the_socket_s_place_is_left_alone(lab, tmp_path: Path) -> None:
    (tmp_path / "s").write_text("precious")
    with pytest.raises(CannotStartError, match="Address already in use"):
        lab(f'listen_unix_sock = "{tmp_path}/s"\nlisten_tcp = false')
    assert (tmp_path / "s").read_text() == "precious"


def test_without_any_listener_it_does_not_start(lab) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        address = "{}:{}".format(*taken.getsockname())
        port = taken.getsockname()[1]
        entry = f'{{ip = "127.0.0.1", port = {port}}}'
        with pytest.raises(CannotStartError, match=f"{address}: Address already in use"):
            lab(f"listeners = [{entry}]")
        # As in Telemt, one that could be bound is enough.
        running = lab(f'listeners = [{entry}, {{ip = "127.0.0.1", port = 0}}]')
    assert address in str(running.events("error"))
    with running.connect() as client:
        assert served(client)


def test_live_backlogs_are_as_configured(lab, tmp_path: Path) -> None:
    path = tmp_path / "s"
    running = lab(f'listen_unix_sock = "{path}"\nlisten_backlog = 77')
    port = int(str(running.events("start")[0]["listeners"][0]).rpartition(":")[2])
    somaxconn = int(Path("/proc/sys/net/core/somaxconn").read_text())
    with DiagSocket() as diag:
        diag.bind()
        tcp = {
            (entry["idiag_src"], entry["idiag_sport"]): entry["idiag_wqueue"]
            for entry in diag.get_sock_stats(family=socket.AF_INET, states=1 << SS_LISTEN)
        }
        show = UDIAG_SHOW_NAME | UDIAG_SHOW_RQLEN
        unix = {
            entry.get_attr("UNIX_DIAG_NAME"): entry.get_attr("UNIX_DIAG_RQLEN")
            for entry in diag.get_sock_stats(
                family=socket.AF_UNIX, states=1 << SS_LISTEN, show=show
            )
        }
    assert tcp["127.0.0.1", port] == 77
    assert tcp[running.metrics] == 77
    assert tcp[running.api] == min(1024, somaxconn)
    assert unix[str(path)]["udiag_wqueue"] == somaxconn


def test_accepted_tcp_sockets_get_telemts_options() -> None:
    with socket.socket() as sock:
        set_client_options(sock, ClientSocket(keepalive_s=15, ack_timeout_s=90, rst_on_close="off"))
        tcp, level = socket.IPPROTO_TCP, socket.SOL_SOCKET
        assert sock.getsockopt(tcp, socket.TCP_NODELAY) == 1
        assert sock.getsockopt(level, socket.SO_KEEPALIVE) == 1
        assert sock.getsockopt(tcp, socket.TCP_KEEPIDLE) == 15
        assert sock.getsockopt(tcp, socket.TCP_KEEPINTVL) == 15
        assert sock.getsockopt(tcp, socket.TCP_USER_TIMEOUT) == 90_000
        # The kernel doubles what is asked for, and caps it before.
        for option, ceiling in ((socket.SO_RCVBUF, "rmem_max"), (socket.SO_SNDBUF, "wmem_max")):
            cap = int(Path(f"/proc/sys/net/core/{ceiling}").read_text())
            assert sock.getsockopt(level, option) == 2 * min(256 * 1024, cap)


def test_options_the_kernel_refuses_stop_nothing() -> None:
    with socket.socket() as sock:
        set_client_options(sock, ClientSocket(2**31 - 1, 1, "off"))


def test_nothing_secret_is_logged(lab) -> None:
    running = lab()
    for mode in ("secure", "tls"):
        with running.connect() as client:
            assert served(client, mode)
    assert "00112233445566778899aabbccddeeff" not in running.log_path.read_text()
    (start,) = running.events("start")
    assert start["telemt"] == "double"
    assert "not Telemt" in str(start["notice"])


@pytest.mark.parametrize("part", ["feed", "connect"])
def test_a_fault_ends_its_client_alone_and_is_logged_without_its_words(
    lab,
    part: str,
    monkeypatch: pytest.MonkeyPatch,
    eventually,
) -> None:
    """While there is something to read, and in the task on the way to the data centre."""

    def broken(*_: object) -> None:
        raise LookupError("words")

    running = lab("max_connections = 1\naccept_permit_timeout_ms = 0")
    with monkeypatch.context() as patched, running.connect() as client:
        patched.setattr(Handshake if part == "feed" else Dialler, part, broken)
        client.sendall(opening(SECRET, TAGS["secure"]).init)
        assert client.recv(1) == b""
        eventually(lambda: len(running.events("fault")), 1)
    (fault,) = running.events("fault")
    assert fault["error"] == "LookupError"
    assert str(fault["at"]).startswith("test_clients.py:")
    assert "words" not in str(fault)
    with running.connect() as other:
        assert served(other)


@pytest.mark.parametrize("unread", [0, 64 * 2**20])
def test_a_reset_ends_a_session_even_one_that_waits_to_write(lab, unread: int) -> None:
    running = lab("max_connections = 1\naccept_permit_timeout_ms = 0")
    for _ in range(3):
        peer = running.peer().start()
        peer.req_pq()
        client = peer.sock
        client.settimeout(0.02)
        with contextlib.suppress(TimeoutError):
            for _ in range(unread // 2**19):
                peer.send(bytes(8) + struct.pack("<I", PING) + bytes(2**19))
        client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        client.close()
    with running.connect() as other:
        assert served(other)
    assert running.metric("connections_total") == 4


@pytest.mark.parametrize(
    ("sent", "page"),
    [
        (V2_TCP4 + b"x" * 31, "[expected_64_got_0]\n192.0.2.7-1\n"),
        (V2_LOCAL + b"x" * 63, "[expected_64_got_0]\n127.0.0.1-1\n"),
        (V2_TCP4 + b"x" * 64, "[unknown]\n192.0.2.7-1\n"),
        (V2_TCP4 + opening(SECRET, TAGS["secure"]).init, "empty\n"),
        (V2_TCP4, "empty\n"),
        (b"no header at all", "[other]\n127.0.0.1-1\n"),
    ],
    ids=["short", "local", "unknown", "client", "nothing", "no-header"],
)
def test_clients_that_end_within_the_handshake_are_counted_by_address(
    lab,
    http,
    sent: bytes,
    page: str,
    eventually,
) -> None:
    running = lab("proxy_protocol = true")
    with running.connect() as client:
        client.sendall(sent)
        client.shutdown(socket.SHUT_WR)
        with contextlib.suppress(ConnectionResetError):
            while client.recv(1000):
                pass
    eventually(lambda: http(running.metrics, "/beobachten")[2], page)
