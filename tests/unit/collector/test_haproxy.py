"""HAProxy's sessions, the probe's connections, Telemt's API: pure parts, and real sockets."""

from __future__ import annotations

import os
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stackctl.collector import admin, api, clients, livesock, traffic
from stackctl.collector.reading import Deadline

PROPERTY = settings(max_examples=80)

CAPTURED = Path(__file__).parents[2] / "captured"
LINE = (
    b"0x7f5c00: proto=tcpv4 src=::ffff:127.0.0.3:55017 fe=clients be=telemt srv=telemt-1 ts=00 "
    b"epoch=0 age=3s calls=3 rate=0 cpu=0 lat=0 rq[f=848000h,i=0,an=00h,ax=] "
    b"rp[f=80048101h,i=0,an=00h,ax=] scf=[8,0h,fd=19,rex=59m59s,wex=] "
    b"scb=[8,1h,fd=-1,rex=59m59s,wex=] exp=4s rc=0 c_exp="
)


def test_session_line() -> None:
    session = admin.parse_session(LINE)
    assert session is not None
    assert (session.id, session.server, session.age) == ("0x7f5c00", "telemt-1", "3s")
    assert (session.client_fd, session.server_fd) == (19, -1)
    assert admin.source_of(LINE) == b"127.0.0.3:55017"
    assert admin.looks_young(LINE)
    assert session.younger(2)
    assert not session.younger(1)


def test_a_server_is_a_clients_once_it_is_connected() -> None:
    """Before that HAProxy may choose another one."""
    for line, server in (
        (LINE, "telemt-1"),
        (LINE.replace(b"scb=[8,", b"scb=[5,"), ""),
        (LINE.replace(b"srv=telemt-1", b"srv=<none>"), ""),
    ):
        session = admin.parse_session(line)
        assert session is not None
        assert session.connected == server


def test_old_sessions_are_not_young() -> None:
    old = LINE.replace(b"age=3s", b"age=1m3s")
    session = admin.parse_session(old)
    assert session is not None
    assert not session.younger(100)
    assert not admin.looks_young(old)


def test_captured_session_of_the_admin_socket_itself() -> None:
    line = (CAPTURED / "show_sess_none.txt").read_bytes().splitlines()[0]
    session = admin.parse_session(line)
    assert session is not None
    assert (session.frontend, session.server) == ("GLOBAL", "<none>")


@PROPERTY
@given(st.binary())
def test_garbage_is_no_session(line: bytes) -> None:
    assert admin.parse_session(line) is None
    admin.source_of(line)


def test_servers_that_can_be_given_a_connection() -> None:
    stat = (CAPTURED / "show_stat.txt").read_text(encoding="utf-8")
    assert admin.servers(stat, "telemt") == ["telemt-1", "telemt-2"]
    assert admin.servers(stat.replace(",UP,", ",DOWN,", 1), "telemt") == ["telemt-2"]
    assert admin.servers(stat, "other") == []
    assert admin.servers("", "telemt") == []


def test_connections_that_haproxy_has() -> None:
    info = (CAPTURED / "show_info.txt").read_text(encoding="utf-8")
    assert admin.held(info) == 0
    assert admin.held(info.replace("CurrConns: 0", "CurrConns: 30210")) == 30_210
    assert admin.held("Name: HAProxy\n") == 0


@contextmanager
def answering(path: Path, answer: bytes) -> Iterator[None]:
    """A unix listener that gives one answer to whatever it is asked."""

    def serve() -> None:
        peer, _ = listener.accept()
        with peer:
            peer.recv(1000)
            peer.sendall(answer)

    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(path))
        listener.listen()
        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield
        thread.join(5)


def own(path: Path) -> admin.Admin:
    return admin.Admin(os.getpid(), str(path), Deadline(5))


def test_sessions_are_read_line_by_line(tmp_path: Path) -> None:
    path = tmp_path / "a.sock"
    noise = LINE.replace(b"127.0.0.3", b"127.0.0.9") + b"\n"
    with answering(path, noise * 3000 + LINE + b"\n" + noise * 3000 + b"\n"):
        found = own(path).sessions(
            lambda line: admin.source_of(line) == b"127.0.0.3:55017", lambda session: True
        )
    assert [session.source for session in found] == ["::ffff:127.0.0.3:55017"]


def test_answer_and_error_of_the_admin_socket(tmp_path: Path) -> None:
    path = tmp_path / "a.sock"
    assert own(path).reading("show info")["error"].startswith("ENOENT")
    with answering(path, b"Name: HAProxy\n"):
        assert own(path).reading("show info") == {"text": "Name: HAProxy\n"}


def test_an_answer_ends_with_the_run(tmp_path: Path) -> None:
    """However steadily it comes."""
    path = tmp_path / "a.sock"
    over = admin.Admin(os.getpid(), str(path), Deadline(-1))
    with answering(path, LINE):
        assert over.reading("show info")["error"].startswith("ETIMEDOUT")


def client_at(local: str, via: str) -> clients.Client:
    return clients.Client(socket.socket(), b"x" * 11, {"via": via, "local": local})


def test_own_clients_are_known_by_their_address_in_one_list(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also where the list took so long that they are no longer young when it comes to them."""
    monkeypatch.setattr(traffic, "_POLL", 0.0)
    path = tmp_path / "a.sock"
    old = LINE.replace(b"age=3s", b"age=1m3s").replace(b"telemt-1", b"telemt-2")
    others = old.replace(b"127.0.0.3", b"127.0.0.9")
    published = client_at("127.0.0.3:55017", "published")
    inside = client_at("127.0.0.4:55017", "inside")
    with published.sock, inside.sock:
        told = b"\n".join([others, old, LINE.replace(b"127.0.0.3", b"127.0.0.4"), b""])
        with answering(path, told):
            traffic._assign(own(path), [inside], [published])
        assert inside.record["server"] == "telemt-1"
        assert published.record["server"] == "telemt-2"
        # Nobody is left to be looked for: the socket would refuse.
        traffic._recognise(own(tmp_path / "none.sock"), [published], 0.0)
        alone = client_at("127.0.0.3:55017", "published")
        with alone.sock, answering(tmp_path / "b.sock", b"\n".join([others, old, b""])):
            traffic._recognise(own(tmp_path / "b.sock"), [alone], 0.0)
        assert alone.record["server"] == "telemt-2"
        assert "recognised_by" not in alone.record


def test_lists_are_read_twice_however_long_one_takes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(traffic, "_SEEN", 0.0)
    assert sum(1 for _ in traffic._lists()) == 2


def test_too_long_an_answer_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(admin, "_MOST", 10)
    path = tmp_path / "a.sock"
    with answering(path, b"x" * 11):
        assert "more than 10 bytes" in own(path).reading("show info")["error"]


def test_payload_is_mistaken_for_nothing() -> None:
    for size in (11, clients.published_size()):
        data = clients.payload(size)
        assert len(data) == size < 64
        assert data[0] not in (0x16, 0xEF, 0xEE, 0xDD)
        assert not data[:1].isalpha()
    # More than any connection of ours inside has carried.
    assert clients.published_size() > 11


def test_sources_are_on_loopback_and_differ() -> None:
    sources = clients.sources(64)
    assert len(set(sources)) > 60
    for source in sources:
        first, second, _, last = (int(part) for part in source.split("."))
        assert (first, 1 <= second <= 254, 1 <= last <= 254) == (127, True, True)


@contextmanager
def replying(reply: Callable[[bytes], bytes]) -> Iterator[tuple[str, int]]:
    """A TCP listener that answers the first bytes of one client with `reply` to them."""

    def serve() -> None:
        peer, _ = listener.accept()
        with peer:
            peer.sendall(reply(peer.recv(1000)))
            peer.recv(1)  # until the other side has ended

    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield listener.getsockname()
        thread.join(5)


def test_connection_with_its_own_source() -> None:
    heard: list[bytes] = []
    with replying(lambda data: heard.append(data) or b"") as address:
        client = clients.connect("inside", address, 11, Deadline(5), "127.7.8.9")
        clients.close([client])
    assert client.record["local"].startswith("127.7.8.9:")
    assert client.record["sent"] == 11
    assert heard == [client.payload]


def test_connections_inside_are_no_whole_header_of_any_kind() -> None:
    with replying(lambda _: b"") as address:
        (client,) = clients.inside(address, 1, Deadline(5))
        clients.close([client])
    # A PROXY v2 header has 16 bytes or more, and the connection's own is told by its length.
    assert len(client.payload) < 16
    assert client.record["sent"] == len(client.payload)


def test_published_connection_over_loopback_is_told_from_haproxys_own() -> None:
    assert clients.sources_for(("192.0.2.2", 443), 2) == ["", ""]
    with replying(lambda _: b"") as address:
        client = clients.published(address, Deadline(5))
        clients.close([client])
    assert not client.record["local"].startswith("127.0.0.1:")


def test_refused_connection() -> None:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        client = clients.published(sock.getsockname(), Deadline(5))
    clients.close([client])
    assert client.record["error"].startswith("ECONNREFUSED")


def test_options_of_a_live_socket() -> None:
    with (
        socket.create_server(("127.0.0.1", 0)) as server,
        socket.create_connection(server.getsockname()) as sock,
    ):
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, 77)
        peer = livesock.shown(sock.getpeername())
        seen = livesock.options(os.getpid(), sock.fileno(), peer)
        other = livesock.options(os.getpid(), sock.fileno(), "192.0.2.1:1")
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 50000)
        bounded = livesock.options(os.getpid(), sock.fileno(), peer)
    assert (seen["link"], seen["keepidle"], seen["keepalive"]) == (
        "tcp",
        {"value": 77},
        {"value": 1},
    )
    assert "another connection" in other["error"]
    assert seen["buffers_asked"] == {"value": 0}
    assert (bounded["rcvbuf"], bounded["buffers_asked"]) == ({"value": 100000}, {"value": 2})


def test_options_of_a_unix_socket_and_of_none() -> None:
    left, right = socket.socketpair()
    with left, right:
        left.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 65536)
        seen = livesock.options(os.getpid(), left.fileno())
    assert seen.pop("link") == "unix"
    assert set(seen) == {"rcvbuf", "sndbuf", "buffers_asked"}
    assert (seen["sndbuf"], seen["buffers_asked"]) == ({"value": 131072}, {"value": 1})
    assert livesock.options(os.getpid(), 10**6)["error"].startswith("pidfd_getfd: EBADF")


def test_api_answer() -> None:
    answer = b'HTTP/1.1 503 Service Unavailable\r\nA: b\r\n\r\n{"data":{}}'
    assert api.parse(answer) == (503, '{"data":{}}')


@PROPERTY
@given(st.binary())
def test_api_garbage(answer: bytes) -> None:
    with pytest.raises(ValueError, match=r"."):
        api.parse(answer)


@pytest.mark.parametrize(
    ("answer", "whole"),
    [
        (b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}", True),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\n{}", False),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n", False),
        (b"HTTP/1.1 200 OK\r\nContent-Length: -\r\n\r\n{}", False),
        (b"", False),
    ],
)
def test_api_answer_is_whole(answer: bytes, whole: bool) -> None:
    assert api.complete(answer) is whole


def test_api_over_a_socket() -> None:
    # It keeps the connection open, whatever it was asked.
    ok = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}"
    with replying(lambda data: ok if data.startswith(b"GET /v1/health ") else b"") as address:
        seen = api.parse(api.get(address, "/v1/health", Deadline(1)))
    assert seen == (200, "{}")


def test_the_api_is_shown_the_secret_of_the_replica_s_own_file(tmp_path: Path) -> None:
    secrets = tmp_path / "users.toml"
    secrets.write_text('auth_header = "Bearer y"\n[access.users]\nalice = "00"\n')
    heard: list[bytes] = []
    ok = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}"
    with replying(lambda data: heard.append(data) or ok) as address:
        seen = api.readings(address, os.getpid(), str(secrets), Deadline(1))
    assert b"\r\nAuthorization: Bearer y\r\n" in heard[0]
    url = "http://{}:{}/v1/health".format(*address)
    assert seen["/v1/health"] == {"status": 200, "body": "{}", "from": url}


@pytest.mark.parametrize("text", [None, "auth_header = ["])
def test_without_that_file_the_api_is_not_asked(tmp_path: Path, text: str | None) -> None:
    secrets = tmp_path / "users.toml"
    if text is not None:
        secrets.write_text(text)
    # Nobody listens there: an attempt would be another error.
    seen = api.readings(("127.0.0.1", 9), os.getpid(), str(secrets), Deadline(1))
    assert set(seen) == set(api.PATHS)
    for answer in seen.values():
        assert answer["error"].startswith("ENOENT" if text is None else "TOMLDecodeError")
