"""The collector's own connections to HAProxy, and how they are known in its list of sessions."""

from __future__ import annotations

import os
import socket
from pathlib import Path

import pytest

from stackctl.collector import clients
from stackctl.collector.answer import Connection
from stackctl.collector.haproxy import Admin
from stackctl.collector.reading import Deadline
from stackctl.collector.request import ClientsAsked, HaproxyTarget
from stackctl.collector.telemt import Moments

from .listeners import LINE, answering, replying


def own(path: Path) -> Admin:
    return Admin(os.getpid(), str(path), Deadline(5))


def client_at(local: str, via: str) -> clients.OpenConnection:
    return clients.OpenConnection(
        socket.socket(), b"x" * 11, Connection(via, "192.0.2.1:443", local)
    )


def test_own_clients_are_known_by_their_address_in_one_list(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Even where the list takes so long that the sessions are no longer young in it."""
    monkeypatch.setattr(clients, "_POLL", 0.0)
    path = tmp_path / "a.sock"
    old = LINE.replace(b"age=3s", b"age=1m3s").replace(b"telemt-1", b"telemt-2")
    others = old.replace(b"127.0.0.3", b"127.0.0.9")
    published = client_at("127.0.0.3:55017", "published")
    inside = client_at("127.0.0.4:55017", "inside")
    with published.sock, inside.sock:
        told = b"\n".join([others, old, LINE.replace(b"127.0.0.3", b"127.0.0.4"), b""])
        with answering(path, told):
            clients._assign(own(path), [inside], [published])
        assert inside.found.server == "telemt-1"
        assert published.found.server == "telemt-2"
        # Nobody is left to be looked for: the socket would refuse.
        clients._recognise(own(tmp_path / "none.sock"), [published], 0.0)
        alone = client_at("127.0.0.3:55017", "published")
        with alone.sock, answering(tmp_path / "b.sock", b"\n".join([others, old, b""])):
            clients._recognise(own(tmp_path / "b.sock"), [alone], 0.0)
        assert alone.found.server == "telemt-2"
        assert alone.found.recognised_by == ""


def test_lists_are_read_twice_however_long_one_takes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(clients, "_SEEN", 0.0)
    assert sum(1 for _ in clients._lists()) == 2


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


def test_connection_with_its_own_source() -> None:
    heard: list[bytes] = []
    with replying(lambda data: heard.append(data) or b"") as address:
        client = clients.connect("inside", address, 11, Deadline(5), "127.7.8.9")
        clients.close([client])
    assert client.found.local.startswith("127.7.8.9:")
    assert client.found.sent == 11
    assert heard == [client.payload]


def test_connections_inside_are_no_whole_header_of_any_kind() -> None:
    with replying(lambda _: b"") as address:
        (client,) = clients.inside(address, 1, Deadline(5))
        clients.close([client])
    # A PROXY v2 header has 16 bytes or more, and the connection's own is told by its length.
    assert len(client.payload) < 16
    assert client.found.sent == len(client.payload)


def test_published_connection_over_loopback_is_told_from_haproxys_own() -> None:
    assert clients.sources_for(("192.0.2.2", 443), 2) == ["", ""]
    with replying(lambda _: b"") as address:
        client = clients.published(address, Deadline(5))
        clients.close([client])
    assert not client.found.local.startswith("127.0.0.1:")


def test_refused_connection() -> None:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        client = clients.published(sock.getsockname(), Deadline(5))
    clients.close([client])
    assert client.found.error.startswith("ECONNREFUSED")


def test_without_haproxy_s_list_each_connection_says_why(tmp_path: Path) -> None:
    target = HaproxyTarget("haproxy", os.getpid(), "ab", 443, admin_socket=str(tmp_path / "none"))
    with replying(lambda _: b"") as address:
        asked = ClientsAsked(published=address)
        (found,) = clients.collect(os.getpid(), target, asked, Deadline(5), Moments([]))
    assert (found.via, found.session) == ("published", None)
    assert found.error.startswith("ENOENT")
    assert found.sent > 32
