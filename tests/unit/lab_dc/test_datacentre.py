"""The lab data centre: every framing, its answers, its site, its status page."""

import asyncio
import json
import os
import socket
import ssl
import struct
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest
import uvloop

from lab_dc.answers import answer
from lab_dc.framing import LONGEST_FRAME
from lab_dc.server import Arguments, Server
from mtpeer import TAGS, Peer, check_res_pq, framed, opening, req_pq

PACKAGE = Path(__file__).parents[3] / "images" / "lab-dc"
ANY = ("127.0.0.1", 0)
PATIENCE_S = 30


class Running:
    """A data centre in a thread."""

    def __init__(self, new_loop) -> None:
        self.loop = new_loop()
        self.server = Server(Arguments(ANY, ANY, ANY, "www.example.com"))
        self.dc, self.site, self.status = self.loop.run_until_complete(self.server.start())
        self.thread = threading.Thread(target=self.loop.run_forever)
        self.thread.start()

    def page(self, path: str = "/") -> dict[str, object]:
        host, port = self.status
        with urllib.request.urlopen(f"http://{host}:{port}{path}", timeout=PATIENCE_S) as reply:
            return json.load(reply)

    def peer(self, mode: str, dc: int = 2) -> Peer:
        """A proxy's connection, which uses no secret."""
        peer = Peer(socket.create_connection(self.dc, timeout=PATIENCE_S), mode, b"")
        peer.open = opening(None, TAGS[mode], dc)
        peer.mode = "plain"
        return peer


@pytest.fixture(scope="module", params=[uvloop.new_event_loop, asyncio.new_event_loop])
def centre(request: pytest.FixtureRequest) -> Iterator[Running]:
    running = Running(request.param)
    yield running
    running.loop.call_soon_threadsafe(running.server.close)
    running.loop.call_soon_threadsafe(running.loop.stop)
    running.thread.join(PATIENCE_S)
    running.loop.close()


@pytest.mark.parametrize("mode", ["secure", "classic", "abridged"])
def test_each_framing_is_answered_and_goes_on_being(centre: Running, mode: str) -> None:
    before = centre.page()
    peer = centre.peer(mode, -3)
    with peer.sock:
        peer.sock.sendall(peer.open.init)
        for _ in range(3):
            peer.req_pq()
        for size in (8, 504, 508, 100_000):
            data = os.urandom(size)
            assert peer.ping(data).startswith(data)
        now = centre.page()
    assert now["sessions"] == before["sessions"] + 1
    assert now["total"] == before["total"] + 1
    assert now["answered"] == before["answered"] + 3
    assert now["by_dc"]["-3"] == before["by_dc"].get("-3", 0) + 1
    names = {"secure": "padded", "classic": "intermediate", "abridged": "abridged"}
    assert now["recent"][-1]["framing"] == names[mode]


@pytest.mark.parametrize("mode", ["secure", "classic", "abridged"])
def test_byte_by_byte_and_all_at_once(centre: Running, mode: str) -> None:
    peer = centre.peer(mode)
    questions = [req_pq() for _ in range(3)]
    with peer.sock:
        peer.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for byte in peer.open.init + peer.frame(questions[0][0]):
            peer.sock.sendall(bytes([byte]))
        peer.sock.sendall(peer.frame(questions[1][0]) + peer.frame(questions[2][0]))
        for _, nonce in questions:
            check_res_pq(peer.receive(), nonce)


@pytest.mark.parametrize(
    "payload",
    [os.urandom(40), bytes(40), bytes(4), bytes(8) + os.urandom(60)],
    ids=["random", "zeros", "short", "no-message"],
)
def test_what_it_cannot_read_gets_telegrams_error(centre: Running, payload: bytes) -> None:
    peer = centre.peer("classic")
    with peer.sock:
        peer.sock.sendall(peer.open.init)
        peer.send(payload)
        assert peer.receive() == struct.pack("<i", -404)
        peer.req_pq()


def test_a_frame_too_large_and_a_first_message_of_something_else_end_it(centre: Running) -> None:
    peer = centre.peer("classic")
    with peer.sock:
        head = struct.pack("<I", LONGEST_FRAME + 4)
        peer.sock.sendall(peer.open.init + peer.open.encrypt(head))
        with pytest.raises((EOFError, ConnectionResetError)):
            peer.exactly(1)
    with socket.create_connection(centre.dc, timeout=PATIENCE_S) as client:
        client.sendall(bytes(64))
        with pytest.raises((EOFError, ConnectionResetError)):
            Peer(client, "classic", b"").exactly(1)


def test_a_client_that_does_not_read_is_not_read_from(centre: Running) -> None:
    peer = centre.peer("classic")
    with peer.sock:
        peer.sock.settimeout(0.2)
        peer.sock.sendall(peer.open.init)
        # Far more than the buffers of both sides hold.
        ping = bytes(8) + struct.pack("<I", 0x7ABE77EC) + bytes(2**19)
        pings = peer.open.encrypt(framed(peer.tag, ping) * 256)
        with pytest.raises(TimeoutError):
            peer.sock.sendall(pings)
    assert centre.page("/healthz") == {"ok": True}


def test_a_ping_of_a_client_library_is_answered_with_its_id() -> None:
    body = struct.pack("<Iq", 0x7ABE77EC, 77)
    got = answer(struct.pack("<qqI", 0, 123, len(body)) + body, 1.0)
    assert got[20:] == struct.pack("<Iqq", 0x347773C5, 123, 77)


def test_the_status_page_knows_two_paths(centre: Running) -> None:
    assert centre.page("/healthz") == {"ok": True}
    with pytest.raises(urllib.error.HTTPError, match="404"):
        centre.page("/other")


@pytest.mark.parametrize("cut", [0, 1, 5, 20])
def test_the_site_answers_plain_http(centre: Running, cut: int) -> None:
    request = b"GET /x HTTP/1.1\r\nHost: a\r\n\r\n"
    with socket.create_connection(centre.site, timeout=PATIENCE_S) as client:
        if cut:
            client.sendall(request[:cut])
            time.sleep(0.005)
        client.sendall(request[cut:])
        reply = b"".join(iter(lambda: client.recv(65536), b""))
    assert reply.startswith(b"HTTP/1.1 200 OK\r\n")
    assert b"lab's site" in reply


@pytest.mark.parametrize(
    ("sent", "status"),
    [(b"POST / HTTP/1.1\r\n\r\n", b"405"), (b"nonsense\r\n", b"400"), (b"y" * 20_000, b"400")],
)
def test_the_site_refuses_what_it_does_not_know(
    centre: Running, sent: bytes, status: bytes
) -> None:
    with socket.create_connection(centre.site, timeout=PATIENCE_S) as client:
        client.sendall(sent)
        assert client.recv(65536).split()[1] == status


def test_the_site_s_certificate_is_for_the_domain(centre: Running) -> None:
    context = ssl.create_default_context()
    pem = ssl.get_server_certificate(centre.site, timeout=PATIENCE_S)
    context.load_verify_locations(cadata=pem)
    with context.wrap_socket(
        socket.create_connection(centre.site, timeout=PATIENCE_S), server_hostname="www.example.com"
    ) as client:
        assert client.version() == "TLSv1.3"
        client.sendall(b"GET / HTTP/1.1\r\n\r\n")
        assert client.recv(65536).startswith(b"HTTP/1.1 200 OK")


def test_the_site_takes_a_tls_hello_byte_by_byte_and_survives_a_broken_one(centre: Running) -> None:
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    tls = context.wrap_bio(incoming, outgoing, server_hostname="www.example.com")
    with socket.create_connection(centre.site, timeout=PATIENCE_S) as client:
        client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        while True:
            try:
                tls.do_handshake()
                break
            except ssl.SSLWantReadError:
                for byte in outgoing.read():
                    client.sendall(bytes([byte]))
                incoming.write(client.recv(65536))
        client.sendall(outgoing.read())
    with socket.create_connection(centre.site, timeout=PATIENCE_S) as client:
        client.sendall(b"\x16\x03\x01\x00\x10" + bytes(16))
        assert client.recv(10)[:1] == b"\x15"


def test_the_process(tmp_path: Path) -> None:
    argv = [sys.executable, "-m", "lab_dc"]
    for name in ("dc", "site", "status"):
        argv += [f"--{name}", "127.0.0.1:0"]
    with subprocess.Popen(
        argv, stdout=subprocess.PIPE, text=True, env={**os.environ, "PYTHONPATH": str(PACKAGE)}
    ) as process:
        try:
            lines = [process.stdout.readline().split() for _ in range(3)]
            assert [line[0] for line in lines] == ["dc", "site", "status"]
            host, _, port = lines[0][-1].rpartition(":")
            with socket.create_connection((host, int(port)), timeout=PATIENCE_S) as client:
                peer = Peer(client, "secure", b"")
                peer.open = opening(None, TAGS["secure"])
                client.sendall(
                    peer.open.init + peer.open.encrypt(framed(TAGS["secure"], req_pq()[0]))
                )
                assert peer.receive()[20:24] == struct.pack("<I", 0x05162463)
            process.terminate()
            assert process.wait(PATIENCE_S) == 0
        finally:
            process.kill()
