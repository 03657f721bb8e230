"""Handshakes by the collector: real sockets, and a proxy that only this test knows."""

from __future__ import annotations

import os
import socket
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest

from stackctl.collector import attempt, collect, handshakes, netns, process, telemt, users, wire
from stackctl.collector.answer import VERSION, Arrived, Ended, HandshakeRecord, Reading, Step, Tried
from stackctl.collector.attempt import OpenHandshake, Route, proxy_header
from stackctl.collector.handshakes import HandshakeRun, Place, came_to, named
from stackctl.collector.reading import Deadline
from stackctl.collector.request import HandshakesAsked, HaproxyTarget, ReplicaTarget, Request, Way

SECRET = "0123456789abcdef0123456789abcdef"
OTHER = "ffffffffffffffffffffffffffffffff"
SIGNATURE = bytes.fromhex("0d0a0d0a000d0a515549540a")


class Client(ModuleType):
    """Stands in for `mtproto`: says its key, and waits for "yes"."""

    def __init__(self) -> None:
        super().__init__("mtproto")

    @staticmethod
    def Secret(mode: str, key: bytes, domain: str) -> Any:
        assert (mode == "tls") == bool(domain)
        return SimpleNamespace(mode=mode, key=key, domain=domain)

    @staticmethod
    def attempt(sock: socket.socket, secret: Any, *, dc: int, deadline: float) -> Any:
        def ended(cause: str) -> Any:
            failure = SimpleNamespace(hop="answer", cause=cause, detail=f"it is {cause}")
            return SimpleNamespace(steps=(), failure=failure)

        try:
            sock.settimeout(max(0.001, deadline - time.monotonic()))
            sock.sendall(secret.key)
            answer = sock.recv(16)
        except TimeoutError:
            return ended("timeout")
        except OSError:
            return ended("reset")
        if answer != b"yes":
            return ended("closed")
        return SimpleNamespace(steps=(SimpleNamespace(hop="answer", ms=1.234),), failure=None)


@pytest.fixture(autouse=True)
def _client(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setitem(sys.modules, "stackctl.mtproto", Client())
    attempt.client.cache_clear()
    yield
    attempt.client.cache_clear()


class Proxy:
    """Answers who says the right key, after a PROXY header or without one."""

    def __init__(self, listener: socket.socket, header: bool, key: str, mute: bool) -> None:
        self.heard: list[bytes] = []
        self._header, self._key, self._mute = header, bytes.fromhex(key), mute
        self._kept: list[socket.socket] = []
        self._listener = listener
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def _serve(self) -> None:
        while True:
            try:
                peer, _ = self._listener.accept()
            except OSError:
                return
            self._kept.append(peer)
            if self._mute:
                continue
            peer.settimeout(5)
            data = b""
            want = 28 + 16 if self._header else 16
            while len(data) < want and (part := peer.recv(want - len(data))):
                data += part
            self.heard.append(data)
            begins = data.startswith(SIGNATURE) == self._header
            if begins and data.endswith(self._key):
                peer.sendall(b"yes")
            else:
                peer.shutdown(socket.SHUT_RDWR)
                peer.close()

    def close(self) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._thread.join(5)
        for peer in self._kept:
            peer.close()


@contextmanager
def proxy(
    path: Path | None = None, *, header: bool = True, key: str = SECRET, mute: bool = False
) -> Iterator[tuple[Proxy, Any]]:
    """A running proxy, and what to connect to."""
    listener = socket.socket(socket.AF_UNIX if path else socket.AF_INET)
    listener.bind(str(path) if path else ("127.0.0.1", 0))
    listener.listen(16)
    running = Proxy(listener, header, key, mute)
    try:
        yield running, listener.getsockname()
    finally:
        running.close()


def asked(**changes: Any) -> HandshakesAsked:
    whole = HandshakesAsked(
        users={"alice": SECRET},
        modes=("secure", "tls"),
        domain="www.example.com",
        published=None,
        ways={"telemt-1": Way("/x")},
        each=1.0,
        seconds=5.0,
    )
    return replace(whole, **changes)


def a_run(**changes: Any) -> HandshakeRun:
    return HandshakeRun(asked(**changes), Deadline(5))


def there(to: Any, most: dict[str, int] | None = None, secrets: str = "/nowhere") -> Place:
    """A replica at a unix socket or address, whose pages answer nobody."""
    family = socket.AF_UNIX if isinstance(to, str) else socket.AF_INET
    running = users.RunningUsers(Reading({}), most or {})
    route = Route(lambda: socket.socket(family), to)
    nobody = ("127.0.0.1", 9)
    return Place(os.getpid(), route, nobody, nobody, secrets, running)


def tried(this: HandshakeRun, to: Place | str) -> list[HandshakeRecord]:
    """The records of handshakes with one replica, or with one that cannot be looked at."""
    where: Reading[Place] = Reading(error=to) if isinstance(to, str) else Reading(to)
    handshakes.with_replica(this, "telemt-1", where)
    return this.records


def hops(one: Tried | None) -> list[str]:
    return [step.hop for step in one.steps] if one else []


def ended(one: Tried | None) -> Ended:
    assert one
    assert one.ended
    return one.ended


@pytest.fixture
def _here(monkeypatch: pytest.MonkeyPatch) -> None:
    """No other namespace than the test's own."""
    monkeypatch.setattr(netns, "inside", lambda _pid, step: step())


def test_the_header_is_the_protocols() -> None:
    header = proxy_header(("198.18.1.2", 40000), ("192.0.2.1", 443))
    assert header == SIGNATURE + bytes.fromhex("2111000c c6120102 c0000201 9c40 01bb")
    six = proxy_header(("2001:db8::1", 1), ("2001:db8::2", 2))
    assert six[12:16] == bytes.fromhex("21210024")
    assert len(six) == 16 + 36
    with pytest.raises(ValueError, match="different families"):
        proxy_header(("198.18.1.2", 1), ("2001:db8::2", 2))


def test_a_user_is_always_named_from_one_address_of_the_test_network() -> None:
    hosts = {named("alice")[0] for _ in range(20)}
    assert len(hosts) == 1
    assert hosts.pop().startswith(("198.18.", "198.19."))
    assert named("alice")[0] != named("bob")[0]
    assert came_to(("192.0.2.1", 443)) == ("192.0.2.1", 443)
    assert came_to(("2001:db8::1", 443))[0] == came_to(None)[0] == "198.18.0.1"


@pytest.mark.usefixtures("_here")
def test_a_replica_that_answers(tmp_path: Path) -> None:
    this = a_run()
    with proxy(tmp_path / "s") as (running, to):
        records = tried(this, there(to))
    assert [(r.place, r.user, r.mode) for r in records] == [
        ("telemt-1", "alice", "secure"),
        ("telemt-1", "alice", "tls"),
    ]
    for record, heard in zip(records, running.heard, strict=True):
        assert hops(record.tried) == ["connect", "proxy", "answer"]
        assert record.tried.steps[-1] == Step("answer", 1.23)
        assert record.tried.ended is None
        client = record.tried.client.rpartition(":")
        assert heard[16:20] == socket.inet_aton(client[0])
        assert int.from_bytes(heard[24:26], "big") == int(client[2])


@pytest.mark.usefixtures("_here")
def test_a_failure_is_looked_into_once_for_each_mode(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pages = iter(range(100))
    name = "telemt_upstream_connect_fail_total"
    monkeypatch.setattr(telemt, "metrics", lambda *_: {name: float(next(pages))})
    this = a_run(users={"alice": SECRET, "bob": OTHER})
    with proxy(tmp_path / "s", header=False) as (_, to):
        records = tried(this, there(to, {"alice": 3}))
    alice, bob = records[:2], records[2:]
    for record in alice:
        assert ended(record.tried).hop == "answer"
        assert ended(record.again)
        assert hops(record.without_header)[-1] == "answer"
        assert record.without_header
        assert record.without_header.client == ""
        assert record.most == 3
        assert record.counted == Reading({name: 1.0})
    for record in bob:
        assert (record.again, record.counted, record.without_header) == (None, None, None)


@pytest.mark.usefixtures("_here")
def test_pages_that_cannot_be_read_hide_nothing_else(tmp_path: Path) -> None:
    with proxy(tmp_path / "s", header=False) as (_, to):
        (record,) = tried(a_run(modes=("secure",)), there(to))
    assert record.counted
    assert record.counted.error.startswith("ECONNREFUSED")
    assert hops(record.without_header)[-1] == "answer"


@pytest.mark.usefixtures("_here")
def test_nobody_there(tmp_path: Path) -> None:
    (record,) = tried(a_run(modes=("secure",)), there(str(tmp_path / "none")))
    assert record.tried.ended == Ended("connect", "network", "ENOENT: No such file or directory")
    assert record.tried.steps == ()


def test_a_replica_that_cannot_be_looked_at() -> None:
    records = tried(a_run(), "process 7 does not exist")
    assert [record.error for record in records] == ["process 7 does not exist"] * 2


def test_a_replica_is_where_its_way_says(monkeypatch: pytest.MonkeyPatch) -> None:
    nobody = ("127.0.0.1", 9)
    replica = ReplicaTarget("telemt-1", 7, "ab", nobody, nobody, "/u", config="/none")
    unix = handshakes.place(asked(), replica, os.getpid(), os.getpid())
    assert unix.route.to == f"/proc/{os.getpid()}/root/x"
    tcp = asked(ways={"telemt-1": Way(address=("192.0.2.1", 443))})
    assert handshakes.place(tcp, replica, 7, 8).route.to == ("192.0.2.1", 443)
    with pytest.raises(LookupError, match="no address of"):
        handshakes.place(asked(ways={"telemt-1": Way()}), replica, 7, 8)


@pytest.mark.usefixtures("_here")
def test_who_waits_in_vain_once_waits_less_from_then_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(handshakes, "_ONCE_WAITED", 0.05)
    monkeypatch.setattr(handshakes, "RETRY", 0.06)
    made, waited = HandshakeRun.attempt, list[float]()

    def noted(self: HandshakeRun, route: Route, user: str, mode: str, seconds: float) -> Any:
        waited.append(seconds)
        return made(self, route, user, mode, seconds)

    monkeypatch.setattr(HandshakeRun, "attempt", noted)
    five = {f"u{n}": SECRET for n in range(5)}
    this = a_run(users=five, modes=("secure",), each=0.3, seconds=60)
    with proxy(tmp_path / "s", mute=True) as (_, to):
        records = tried(this, there(to))
    assert [ended(record.tried).cause for record in records] == ["timeout"] * 5
    # The first one, and once more without a header, as nobody counts; then the others.
    assert waited == [0.3, 0.06, 0.05, 0.05, 0.05, 0.05]


@pytest.mark.usefixtures("_here")
def test_the_run_ends_at_its_deadline_and_names_what_was_not_tried(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    now = 1000.0

    def waits_in_vain(_route: Route, _secret: Any, _dc: int, end: float) -> OpenHandshake:
        nonlocal now
        now = end
        return OpenHandshake(Tried(ended=Ended("answer", "timeout", "x")), None)

    monkeypatch.setattr(handshakes, "time", SimpleNamespace(monotonic=lambda: now))
    monkeypatch.setattr(handshakes, "shake", waits_in_vain)
    many = {f"u{n}": SECRET for n in range(50)}
    # The first one waits 2 s, and 2 s without a header; then each 1 s, and the sixth what is left.
    records = tried(a_run(users=many, modes=("secure",), each=2, seconds=8.5), there("/nowhere"))
    assert now == 1008.5
    first, left = records[:6], records[6:]
    assert all(record.tried.ended for record in first)
    words = "not tried: the 8.5 s for all handshakes are over"
    assert [record.error for record in left] == [words] * 44


@pytest.mark.usefixtures("_here")
@pytest.mark.parametrize(
    ("status", "body", "found"),
    [
        (200, '{"data":[{"username":"alice","active_ips":["OWN"]}]}', Reading(Arrived(True))),
        (
            200,
            '{"data":[{"username":"bob","active_ips":["OWN"]},'
            '{"username":"alice","active_ips":["127.0.0.1"]}]}',
            Reading(Arrived(False, ("127.0.0.1",))),
        ),
        (
            401,
            "{}",
            Reading(error="ValueError: GET /v1/stats/users/active-ips: status 401"),
        ),
    ],
)
def test_whether_the_replica_names_our_address(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    status: int,
    body: str,
    found: Reading[Arrived],
) -> None:
    monkeypatch.setattr(handshakes, "_SHOWN", 0.05)
    heard = []

    def get(_address: Any, path: str, _deadline: Any, _most: int, auth: str) -> bytes:
        heard.append((path, auth))
        text = body.replace("OWN", named("alice")[0])
        return f"HTTP/1.1 {status} X\r\n\r\n{text}".encode()

    monkeypatch.setattr(telemt, "get", get)
    secrets = tmp_path / "users.toml"
    secrets.write_text('auth_header = "Bearer x"\n')
    this = a_run(modes=("secure",), arrivals=True)
    with proxy(tmp_path / "s") as (_, to):
        (record,) = tried(this, there(to, secrets=str(secrets)))
    assert record.arrived == found
    assert heard[0] == ("/v1/stats/users/active-ips", "Bearer x")


@pytest.mark.usefixtures("_here")
def test_without_the_api_s_secret_nothing_is_asked(tmp_path: Path) -> None:
    this = a_run(modes=("secure",), arrivals=True)
    with proxy(tmp_path / "s") as (_, to):
        (record,) = tried(this, there(to, secrets=str(tmp_path / "users.toml")))
    assert record.arrived == Reading(error="ENOENT: No such file or directory")


class Sessions:
    """HAProxy's admin socket with sessions of given clients."""

    def __init__(self, server: str, problem: OSError | None = None) -> None:
        self.server, self.problem = server, problem

    def __call__(self, *_: object) -> Sessions:
        return self

    def sessions(self, worth: Callable[[bytes], object], keep: Callable[[Any], bool]) -> list[Any]:
        if self.problem:
            raise self.problem
        rows = [
            SimpleNamespace(source=source, server=self.server, connected=self.server)
            for source in self.sources
        ]
        return [row for row in rows if worth(f"0x1: p src={row.source} f".encode()) and keep(row)]

    sources: tuple[str, ...] = ("192.0.2.99:1",)


HAPROXY = HaproxyTarget("haproxy", 1, "ab", 443, admin_socket="/x")


def test_through_the_published_address(monkeypatch: pytest.MonkeyPatch) -> None:
    admin = Sessions("telemt-2")
    monkeypatch.setattr(handshakes, "Admin", admin)
    attempted = HandshakeRun.attempt

    def noted(self: HandshakeRun, *args: Any) -> OpenHandshake:
        made = attempted(self, *args)
        admin.sources = (*admin.sources, made.tried.local)
        return made

    monkeypatch.setattr(HandshakeRun, "attempt", noted)
    monkeypatch.setattr(handshakes, "arrived", lambda *_: Reading(Arrived(True)))
    with proxy(header=False) as (_, to):
        this = a_run(published=to, arrivals=True)
        handshakes.through_published(this, 1, HAPROXY, {"telemt-2": there(to)})
    assert [record.mode for record in this.records] == ["secure", "tls"]
    for record in this.records:
        assert record.tried.local.startswith("127.")
        assert not record.tried.local.startswith("127.0.0.1:")
        assert record.seen_as == record.tried.local
        assert record.server == "telemt-2"
        assert record.arrived == Reading(Arrived(True))
        assert hops(record.tried) == ["connect", "answer"]


def test_a_header_of_our_own_is_tried_where_the_published_address_fails(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(handshakes, "Admin", Sessions("", OSError(111, "refused")))
    with proxy(header=True) as (_, to):
        this = a_run(published=to, modes=("secure",))
        handshakes.through_published(this, 1, HAPROXY, {})
    (record,) = this.records
    assert ended(record.tried).hop == "answer"
    assert hops(record.with_header)[-1] == "answer"
    # HAProxy did not say whom it gave it to.
    assert (record.seen_as, record.server) == ("", "")


def test_users_are_compared_and_their_secrets_stay(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "users.toml"
    file.write_text(
        f'auth_header = "Bearer y"\n[access.users]\nalice = "{SECRET.upper()}"\nbob = "{OTHER}"\n'
        "[access.user_max_tcp_conns]\nbob = 7\n"
    )
    config = tmp_path / "telemt.toml"
    config.write_text(
        "[access]\nuser_max_tcp_conns_global_each = 3\n[server.api]\nenabled = true\n"
        f'include = "{file}"\n'
    )
    monkeypatch.setattr(process, "inside", lambda _pid, path: path)
    ours = {"alice": SECRET, "bob": SECRET, "carol": SECRET}
    found = users.running(1, str(config), ours)
    assert found.secrets == Reading({"alice": "same", "bob": "other", "carol": "none"})
    assert found.most == {"alice": 3, "bob": 7, "carol": 3}
    file.write_text(f'alice = "{SECRET}\n')
    broken = users.running(1, str(config), ours)
    assert broken.secrets.error == f"{config}: not a configuration with users"
    file.unlink()
    assert "ENOENT" in users.running(1, str(config), ours).secrets.error


def test_what_is_counted() -> None:
    page = (
        "# HELP telemt_user_connections_current x\n"
        'telemt_connections_bad_by_class_total{class="other"} 4\n'
        "telemt_upstream_connect_fail_total 2\n"
        "telemt_uptime_seconds 7\n"
        'telemt_user_connections_current{user="alice"} 1\n'
        'telemt_user_connections_current{user="bob"} 9\n'
        "telemt_upstream_connect_attempt_total junk\n"
    )
    before = telemt.of_user(page, "alice")
    assert before == {
        'telemt_connections_bad_by_class_total{class="other"}': 4.0,
        "telemt_upstream_connect_fail_total": 2.0,
        'telemt_user_connections_current{user="alice"}': 1.0,
    }
    after = before | {"telemt_upstream_connect_fail_total": 3.0}
    assert telemt.grown(before, after) == {
        "telemt_upstream_connect_fail_total": 1.0,
        'telemt_user_connections_current{user="alice"}': 1.0,
    }
    with pytest.raises(ValueError, match="no users in"):
        telemt.active_of('{"data": 3}', "alice")


def test_the_answer_repeats_no_secret() -> None:
    answer = collect.run(Request(VERSION, (), handshakes=asked()))
    assert answer.request.handshakes
    assert answer.request.handshakes == asked(users={})
    assert answer.handshakes
    assert answer.handshakes.error == "handshakes were asked for without a haproxy target"
    assert SECRET not in str(wire.encode(answer))
