"""Handshakes by the probe: real sockets, and a proxy that only this test knows."""

from __future__ import annotations

import os
import socket
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest

from stackctl.collector import collect, counters, netns, proxyheader, published, replica, trial
from stackctl.collector.reading import Deadline
from stackctl.collector.round import Round, came_to, named
from stackctl.collector.trial import Way

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
    trial.client.cache_clear()
    yield
    trial.client.cache_clear()


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


def request(**changes: Any) -> dict[str, Any]:
    return {
        "users": {"alice": SECRET},
        "modes": ["secure", "tls"],
        "domain": "www.example.com",
        "published": None,
        "links": {"telemt-1": {"unix": "/x"}},
        "arrivals": False,
        "each": 1.0,
        "seconds": 5.0,
        "dc": 2,
    } | changes


def a_round(**changes: Any) -> Round:
    return Round(request(**changes), Deadline(5))


def there(to: Any, most: dict[str, int] | None = None, secrets: str = "/nowhere") -> replica.Place:
    """A replica at a unix socket or address, whose pages answer nobody."""
    family = socket.AF_UNIX if isinstance(to, str) else socket.AF_INET
    running: Any = SimpleNamespace(users={}, most=most or {})
    way = Way(lambda: socket.socket(family), to)
    nobody = ("127.0.0.1", 9)
    return replica.Place(os.getpid(), way, nobody, nobody, secrets, running)


@pytest.fixture
def _here(monkeypatch: pytest.MonkeyPatch) -> None:
    """No other namespace than the test's own."""
    monkeypatch.setattr(netns, "inside", lambda _pid, step: step())


def test_the_header_is_the_protocols() -> None:
    header = proxyheader.version_2(("198.18.1.2", 40000), ("192.0.2.1", 443))
    assert header == SIGNATURE + bytes.fromhex("2111000c c6120102 c0000201 9c40 01bb")
    six = proxyheader.version_2(("2001:db8::1", 1), ("2001:db8::2", 2))
    assert six[12:16] == bytes.fromhex("21210024")
    assert len(six) == 16 + 36
    with pytest.raises(ValueError, match="different families"):
        proxyheader.version_2(("198.18.1.2", 1), ("2001:db8::2", 2))


def test_a_user_is_always_named_from_one_address_of_the_test_network() -> None:
    hosts = {named("alice")[0] for _ in range(20)}
    assert len(hosts) == 1
    assert hosts.pop().startswith(("198.18.", "198.19."))
    assert named("alice")[0] != named("bob")[0]
    assert came_to(["192.0.2.1", 443]) == ("192.0.2.1", 443)
    assert came_to(["2001:db8::1", 443])[0] == came_to(None)[0] == "198.18.0.1"


@pytest.mark.usefixtures("_here")
def test_a_replica_that_answers(tmp_path: Path) -> None:
    this = a_round()
    with proxy(tmp_path / "s") as (running, to):
        replica.run(this, "telemt-1", there(to))
    assert [(r["place"], r["user"], r["mode"]) for r in this.records] == [
        ("telemt-1", "alice", "secure"),
        ("telemt-1", "alice", "tls"),
    ]
    for record, heard in zip(this.records, running.heard, strict=True):
        assert [step["hop"] for step in record["steps"]] == ["connect", "proxy", "answer"]
        assert record["steps"][-1]["ms"] == 1.23
        assert "failure" not in record
        client = record["client"].rpartition(":")
        assert heard[16:20] == socket.inet_aton(client[0])
        assert int.from_bytes(heard[24:26], "big") == int(client[2])


@pytest.mark.usefixtures("_here")
def test_a_failure_is_looked_into_once_for_each_mode(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pages = iter(range(100))
    name = "telemt_upstream_connect_fail_total"
    monkeypatch.setattr(counters, "metrics", lambda *_: {name: float(next(pages))})
    this = a_round(users={"alice": SECRET, "bob": OTHER})
    with proxy(tmp_path / "s", header=False) as (_, to):
        replica.run(this, "telemt-1", there(to, {"alice": 3}))
    alice, bob = this.records[:2], this.records[2:]
    for record in alice:
        assert record["failure"]["hop"] == "answer"
        assert record["again"]["failure"]
        assert record["without_header"]["steps"][-1]["hop"] == "answer"
        assert "client" not in record["without_header"]
        assert record["most"] == 3
        assert record["counted"] == {name: 1.0}
    for record in bob:
        assert "again" not in record


@pytest.mark.usefixtures("_here")
def test_pages_that_cannot_be_read_hide_nothing_else(tmp_path: Path) -> None:
    this = a_round(modes=["secure"])
    with proxy(tmp_path / "s", header=False) as (_, to):
        replica.run(this, "telemt-1", there(to))
    (record,) = this.records
    assert record["counted"]["error"].startswith("ECONNREFUSED")
    assert record["without_header"]["steps"][-1]["hop"] == "answer"


@pytest.mark.usefixtures("_here")
def test_nobody_there(tmp_path: Path) -> None:
    this = a_round(modes=["secure"])
    replica.run(this, "telemt-1", there(str(tmp_path / "none")))
    assert this.records[0]["failure"] == {
        "hop": "connect",
        "cause": "network",
        "detail": "ENOENT: No such file or directory",
    }
    assert this.records[0]["steps"] == []


def test_a_replica_that_cannot_be_looked_at() -> None:
    this = a_round()
    replica.run(this, "telemt-1", "process 7 does not exist")
    assert [record["error"] for record in this.records] == ["process 7 does not exist"] * 2


@pytest.mark.usefixtures("_here")
def test_who_waits_in_vain_once_waits_less_from_then_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("stackctl.collector.round._ONCE_WAITED", 0.05)
    monkeypatch.setattr(replica, "RETRY", 0.06)
    attempt, waited = Round.attempt, list[float]()

    def noted(self: Round, way: Way, user: str, mode: str, seconds: float) -> Any:
        waited.append(seconds)
        return attempt(self, way, user, mode, seconds)

    monkeypatch.setattr(Round, "attempt", noted)
    users = {f"u{n}": SECRET for n in range(5)}
    this = a_round(users=users, modes=["secure"], each=0.3, seconds=60)
    with proxy(tmp_path / "s", mute=True) as (_, to):
        replica.run(this, "telemt-1", there(to))
    assert [record["failure"]["cause"] for record in this.records] == ["timeout"] * 5
    # The first one, and once more without a header, as nobody counts; then the others.
    assert waited == [0.3, 0.06, 0.05, 0.05, 0.05, 0.05]


@pytest.mark.usefixtures("_here")
def test_the_run_ends_at_its_deadline_and_names_what_was_not_tried(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    now = 1000.0

    def waits_in_vain(_way: Way, _secret: Any, _dc: int, end: float) -> Any:
        nonlocal now
        now = end
        record = {"steps": [], "failure": {"cause": "timeout"}}
        return SimpleNamespace(answered=False, record=record, close=lambda: None)

    monkeypatch.setattr("stackctl.collector.round.time", SimpleNamespace(monotonic=lambda: now))
    monkeypatch.setattr("stackctl.collector.round.Trial", waits_in_vain)
    users = {f"u{n}": SECRET for n in range(50)}
    # The first one waits 2 s, and 2 s without a header; then each 1 s, and the sixth what is left.
    this = a_round(users=users, modes=["secure"], each=2, seconds=8.5)
    replica.run(this, "telemt-1", there("/nowhere"))
    assert now == 1008.5
    tried, left = this.records[:6], this.records[6:]
    assert all("failure" in record for record in tried)
    words = "not tried: the 8.5 s there were are over"
    assert [record["error"] for record in left] == [words] * 44


@pytest.mark.usefixtures("_here")
@pytest.mark.parametrize(
    ("status", "body", "found"),
    [
        (200, '{"data":[{"username":"alice","active_ips":["OWN"]}]}', {"value": 1}),
        (
            200,
            '{"data":[{"username":"bob","active_ips":["OWN"]},'
            '{"username":"alice","active_ips":["127.0.0.1"]}]}',
            {"value": 0, "instead": ["127.0.0.1"]},
        ),
        (401, "{}", {"error": "ValueError: GET /v1/stats/users/active-ips: status 401"}),
    ],
)
def test_whether_the_replica_names_our_address(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    status: int,
    body: str,
    found: dict[str, Any],
) -> None:
    monkeypatch.setattr(replica, "_SHOWN", 0.05)
    asked = []

    def get(_address: Any, path: str, _deadline: Any, _most: int, auth: str) -> bytes:
        asked.append((path, auth))
        text = body.replace("OWN", named("alice")[0])
        return f"HTTP/1.1 {status} X\r\n\r\n{text}".encode()

    monkeypatch.setattr(replica.api, "get", get)
    secrets = tmp_path / "users.toml"
    secrets.write_text('auth_header = "Bearer x"\n')
    this = a_round(modes=["secure"], arrivals=True)
    with proxy(tmp_path / "s") as (_, to):
        replica.run(this, "telemt-1", there(to, secrets=str(secrets)))
    assert this.records[0]["arrived"] == found
    assert asked[0] == ("/v1/stats/users/active-ips", "Bearer x")


@pytest.mark.usefixtures("_here")
def test_without_the_api_s_secret_nothing_is_asked(tmp_path: Path) -> None:
    this = a_round(modes=["secure"], arrivals=True)
    with proxy(tmp_path / "s") as (_, to):
        replica.run(this, "telemt-1", there(to, secrets=str(tmp_path / "users.toml")))
    assert this.records[0]["arrived"] == {"error": "ENOENT: No such file or directory"}


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


def test_through_the_published_address(monkeypatch: pytest.MonkeyPatch) -> None:
    admin = Sessions("telemt-2")
    monkeypatch.setattr(published, "Admin", admin)
    attempt = Round.attempt

    def noted(self: Round, *args: Any) -> Any:
        made = attempt(self, *args)
        admin.sources = (*admin.sources, made.record["local"])
        return made

    monkeypatch.setattr(Round, "attempt", noted)
    monkeypatch.setattr(published, "arrived", lambda *_: {"value": 1})
    with proxy(header=False) as (_, to):
        this = a_round(published=list(to), arrivals=True)
        published.run(this, 1, {"admin_socket": "/x"}, {"telemt-2": there(to)})
    assert [record["mode"] for record in this.records] == ["secure", "tls"]
    for record in this.records:
        assert record["local"].startswith("127.")
        assert not record["local"].startswith("127.0.0.1:")
        assert record["seen_as"] == record["local"]
        assert record["server"] == "telemt-2"
        assert record["arrived"] == {"value": 1}
        assert [step["hop"] for step in record["steps"]] == ["connect", "answer"]


def test_a_header_of_our_own_is_tried_where_the_published_address_fails(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(published, "Admin", Sessions("", OSError(111, "refused")))
    with proxy(header=True) as (_, to):
        this = a_round(published=list(to), modes=["secure"])
        published.run(this, 1, {"admin_socket": "/x"}, {})
    (record,) = this.records
    assert record["failure"]["hop"] == "answer"
    assert record["with_header"]["steps"][-1]["hop"] == "answer"
    assert record["session"]["error"].startswith("ECONNREFUSED")


def test_users_are_compared_and_their_secrets_stay(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    users = tmp_path / "users.toml"
    users.write_text(
        f'auth_header = "Bearer y"\n[access.users]\nalice = "{SECRET.upper()}"\nbob = "{OTHER}"\n'
        "[access.user_max_tcp_conns]\nbob = 7\n"
    )
    config = tmp_path / "telemt.toml"
    config.write_text(
        "[access]\nuser_max_tcp_conns_global_each = 3\n[server.api]\nenabled = true\n"
        f'include = "{users}"\n'
    )
    monkeypatch.setattr(counters.procs, "inside", lambda _pid, path: path)
    ours = {"alice": SECRET, "bob": SECRET, "carol": SECRET}
    found = counters.Running(1, str(config), ours)
    assert found.users == {"alice": "same", "bob": "other", "carol": "none"}
    assert found.most == {"alice": 3, "bob": 7, "carol": 3}
    users.write_text(f'alice = "{SECRET}\n')
    broken = counters.Running(1, str(config), ours)
    assert broken.users == {"error": f"{config}: not a configuration with users"}
    users.unlink()
    assert "ENOENT" in counters.Running(1, str(config), ours).users["error"]


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
    before = counters.parse(page, "alice")
    assert before == {
        'telemt_connections_bad_by_class_total{class="other"}': 4.0,
        "telemt_upstream_connect_fail_total": 2.0,
        'telemt_user_connections_current{user="alice"}': 1.0,
    }
    after = before | {"telemt_upstream_connect_fail_total": 3.0}
    assert counters.grown(before, after) == {
        "telemt_upstream_connect_fail_total": 1.0,
        'telemt_user_connections_current{user="alice"}': 1.0,
    }
    with pytest.raises(ValueError, match="no users in"):
        counters.active('{"data": 3}', "alice")


def test_the_answer_repeats_no_secret() -> None:
    asked = {
        "version": 1,
        "connections": 0,
        "host": {"sysctls": []},
        "targets": [],
        "handshakes": request(),
    }
    answer = collect.run(asked)
    assert answer["request"]["handshakes"]["users"] == ["alice"]
    assert "no haproxy" in answer["handshakes"]["error"]
    assert SECRET not in repr(answer)
