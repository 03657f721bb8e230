"""Every mode through a running double to a data centre, in every piece a network may make of it."""

import os
import socket
import time

import pytest

from mtpeer import Peer, check_res_pq, client_hello, req_pq

SECRET = bytes.fromhex("00112233445566778899aabbccddeeff")
DOMAIN = "www.example.com"
# Once is enough for what takes a while; and against the binary, where there is one.
ONCE = pytest.mark.parametrize(
    "lab", ["uvloop", *(["binary"] if os.environ.get("TELEMT_BINARY") else [])], indirect=True
)
# Of the double alone: its log, and what it leaves out.
DOUBLE = pytest.mark.parametrize("lab", ["uvloop", "asyncio"], indirect=True)
MODES = ["secure", "classic", "abridged", "tls"]
HEADERS = {
    "v1": b"PROXY TCP4 192.0.2.7 10.0.0.1 40000 443\r\n",
    "v2": b"\r\n\r\n\x00\r\nQUIT\n\x21\x11\x00\x0c"
    + bytes([192, 0, 2, 7, 10, 0, 0, 1])
    + b"\x9c\x40\x01\xbb",
}


def whole_path(peer: Peer, pieces) -> None:
    """Handshake and first request with everything the client says cut by `pieces`."""

    def send(data: bytes) -> None:
        for piece in pieces(data):
            peer.sock.sendall(piece)
            # Small enough to stay fast, long enough that the double reads between two of them.
            time.sleep(0.0003)

    if peer.mode == "tls":
        hello = client_hello(SECRET, DOMAIN)
        send(hello)
        peer.check_flight(hello)
    payload, nonce = req_pq()
    # The request right behind the handshake, as clients send it.
    send(peer.first_message() + peer.frame(payload))
    check_res_pq(peer.receive(), nonce)


@DOUBLE
@pytest.mark.parametrize("mode", MODES)
def test_each_mode_is_answered_and_logged_without_a_secret(lab, mode: str, eventually) -> None:
    running = lab()
    peer = running.peer(mode).start(dc=-2)
    with peer.sock:
        peer.req_pq()
        assert peer.ping(bytes(100_000)).startswith(bytes(100_000))
        client = "{}:{}".format(*peer.sock.getsockname())
    shown = "classic" if mode == "abridged" else mode
    event = {"event": "handshake", "client": client, "user": "alice", "mode": shown, "dc": -2}
    eventually(lambda: running.events("handshake"), [event])
    assert SECRET.hex() not in running.log_path.read_text()


@pytest.mark.parametrize("header", HEADERS)
@pytest.mark.parametrize("mode", MODES)
@ONCE
def test_byte_by_byte(lab, mode: str, header: str) -> None:
    peer = lab("proxy_protocol = true").peer(mode)
    peer.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    with peer.sock:
        for byte in HEADERS[header]:
            peer.sock.sendall(bytes([byte]))
        whole_path(peer, lambda data: [data[at : at + 1] for at in range(len(data))])


@pytest.mark.parametrize("header", HEADERS)
@pytest.mark.parametrize("mode", MODES)
@ONCE
def test_cut_anywhere(lab, mode: str, header: str) -> None:
    """One cut at each place there is, the PROXY header and what follows it in one stream."""
    running = lab("proxy_protocol = true", "", censorship="mask = false")
    sizes = {"tls": len(client_hello(SECRET, DOMAIN)), "secure": 64, "classic": 64, "abridged": 64}
    size = len(HEADERS[header]) + sizes[mode]
    for cut in range(0, size + 1, 1 if mode != "tls" else 2):
        peer = running.peer(mode)
        peer.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        with peer.sock:
            hello = client_hello(SECRET, DOMAIN) if mode == "tls" else peer.first_message()
            stream = HEADERS[header] + hello
            peer.sock.sendall(stream[:cut])
            time.sleep(0.0003)
            peer.sock.sendall(stream[cut:])
            if mode == "tls":
                peer.check_flight(hello)
                peer.sock.sendall(peer.first_message())
            peer.req_pq()
    assert running.metric("connections_bad_total") == 0


@pytest.mark.parametrize("mode", ["secure", "tls"])
@ONCE
def test_a_first_message_and_a_request_cut_anywhere(lab, mode: str) -> None:
    running = lab()
    for cut in range(1, 140, 1 if mode == "secure" else 2):
        peer = running.peer(mode)
        peer.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        with peer.sock:
            whole_path(peer, lambda data, cut=cut: [data[:cut], data[cut:]])


def test_everything_at_once(lab) -> None:
    """PROXY header, ClientHello, and what a client sends before it has read the flight."""
    peer = lab("proxy_protocol = true").peer("tls")
    hello = client_hello(SECRET, DOMAIN)
    payload, nonce = req_pq()
    with peer.sock:
        peer.sock.sendall(HEADERS["v2"] + hello + peer.first_message() + peer.frame(payload))
        peer.check_flight(hello)
        check_res_pq(peer.receive(), nonce)


def test_a_record_for_every_byte(lab) -> None:
    peer = lab().peer("tls")
    with peer.sock:
        peer.greet()
        inner = peer.first_message()[11:]
        records = b"".join(b"\x17\x03\x03\x00\x01" + bytes([byte]) for byte in inner)
        peer.sock.sendall(records)
        peer.req_pq()


@pytest.mark.parametrize(
    ("modes", "mode", "served"),
    [
        ("{secure = true, tls = false}", "secure", True),
        ("{secure = true, tls = false}", "classic", False),
        ("{classic = true, tls = false}", "abridged", True),
        ("{classic = true, tls = false}", "secure", False),
        ("{tls = true}", "tls", True),
        ("{tls = true}", "secure", False),
        ("{secure = true, tls = false}", "tls", False),
    ],
)
def test_only_the_modes_that_are_on(lab, modes: str, mode: str, served: bool) -> None:
    running = lab(modes=modes, censorship="mask = false\nmask_relay_idle_timeout_ms = 50")
    peer = running.peer(mode)
    with peer.sock:
        if served:
            peer.start().req_pq()
        else:
            peer.start()
            payload, _ = req_pq()
            peer.send(payload)
            with pytest.raises((EOFError, ConnectionResetError)):
                peer.exactly(1)
    assert running.metric("connections_bad_total") == (0 if served else 1)


def test_several_users_are_told_apart(lab) -> None:
    running = lab(users='"bob.2" = "ffeeddccbbaa99887766554433221100"')
    bob = bytes.fromhex("ffeeddccbbaa99887766554433221100")
    for mode in MODES:
        peer = Peer(running.connect(), mode, bob, DOMAIN)
        with peer.sock:
            peer.start().req_pq()
    assert running.metric('user_connections_total{user="bob.2"}') == 4
    assert running.metric('user_connections_total{user="alice"}') == 0


@pytest.mark.parametrize("share", [0x1D, 0x11EC])
def test_both_key_shares_are_answered(lab, share: int) -> None:
    peer = lab().peer("tls")
    with peer.sock:
        peer.greet(client_hello(SECRET, DOMAIN, share=share))
        peer.sock.sendall(peer.first_message())
        peer.req_pq()


@pytest.mark.parametrize("fast", ["true", "false"])
def test_the_data_centre_gets_a_key_of_its_own_where_fast_mode_is_off(lab, fast: str) -> None:
    running = lab(general=f"fast_mode = {fast}")
    for mode in MODES:
        peer = running.peer(mode)
        with peer.sock:
            peer.start()
            for size in (16, 70_000, 16):
                assert peer.ping(bytes(size)).startswith(bytes(size))


def test_an_unreachable_data_centre_closes_and_counts(lab) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
        running = lab(
            datacentres=f'[dc_overrides]\n"2" = "127.0.0.1:{port}"',
            general="upstream_connect_retry_backoff_ms = 1\nupstream_unhealthy_fail_threshold = 2",
        )
        for _ in range(2):
            peer = running.peer().start()
            with peer.sock:
                assert peer.sock.recv(1) == b""
    assert running.metric("upstream_connect_fail_total") == 2
    assert running.metric("upstream_connect_success_total") == 0
    assert running.metric('user_connections_current{user="alice"}') == 0
