"""What a user may: connections, addresses, data; kept over a restart, shown by the API."""

import json
from pathlib import Path

import pytest

from mtpeer import Peer
from telemt_lab.config import Access, UserEntry
from telemt_lab.users import QuotaStateError, Users, load_quota_state, save_quota_state

# Of the double alone: its log, and what it leaves out.
DOUBLE = pytest.mark.parametrize("lab", ["uvloop", "asyncio"], indirect=True)
SECRET = bytes.fromhex("00112233445566778899aabbccddeeff")


def header(host: str) -> bytes:
    return f"PROXY TCP4 {host} 10.0.0.1 40000 443\r\n".encode()


def come(running, host: str) -> Peer:
    peer = running.peer()
    peer.sock.sendall(header(host))
    return peer.start()


def only_user(http, running) -> dict[str, object]:
    """The API's entry of alice."""
    (alice,) = json.loads(http(running.api, "/v1/users")[2])["data"]
    return alice


def test_so_many_connections_at_once(lab, eventually) -> None:
    running = lab(extra="[access.user_max_tcp_conns]\nalice = 2")
    first, second = running.peer().start(), running.peer().start()
    with first.sock, second.sock:
        first.req_pq()
        second.req_pq()
        third = running.peer().start()
        with third.sock:
            assert third.sock.recv(1) == b""
        first.sock.close()
        eventually(lambda: running.metric('user_connections_current{user="alice"}'), 1)
        fourth = running.peer().start()
        with fourth.sock:
            fourth.req_pq()


@DOUBLE
def test_who_is_over_a_limit_is_logged(lab, eventually) -> None:
    running = lab(extra="[access.user_max_tcp_conns]\nalice = 1")
    first, second = running.peer().start(), running.peer().start()
    with first.sock, second.sock:
        assert second.sock.recv(1) == b""
    eventually(
        lambda: [event["reason"] for event in running.events("refused")],
        ["connection limit exceeded"],
    )


def test_so_many_addresses_at_once(lab, http, eventually) -> None:
    running = lab("proxy_protocol = true", extra="[access.user_max_unique_ips]\nalice = 1")
    first = come(running, "192.0.2.1")
    with first.sock:
        first.req_pq()
        other = come(running, "192.0.2.2")
        with other.sock:
            assert other.sock.recv(1) == b""
        same = come(running, "192.0.2.1")
        with same.sock:
            same.req_pq()
        data = json.loads(http(running.api, "/v1/stats/users/active-ips")[2])["data"]
        assert data == [{"username": "alice", "active_ips": ["192.0.2.1"]}]
    eventually(lambda: running.metric('user_unique_ips_current{user="alice"}'), 0)
    # Only those active now count.
    later = come(running, "192.0.2.3")
    with later.sock:
        later.req_pq()


def test_the_quota_ends_the_session_to_the_byte_and_outlives_the_process(
    lab, http, eventually
) -> None:
    quota = "[access.user_data_quota]\nalice = 20000"
    running = lab(extra=quota)
    peer = running.peer().start()
    with peer.sock:
        peer.ping(bytes(4000))
        assert only_user(http, running)["total_octets"] in range(8000, 8200)
        peer.ping(bytes(4000))
        with pytest.raises((EOFError, ConnectionResetError)):
            peer.ping(bytes(4000))
    eventually(lambda: only_user(http, running)["total_octets"], 20000)
    again = running.peer().start()
    with again.sock:
        assert again.sock.recv(1) == b""


def users(quota: int | None = 100) -> Users:
    entries = tuple(UserEntry(name, SECRET, True, 0, 0, quota) for name in ("bob", "alice"))
    return Users(Access(entries, "active_window", 30, 1, 1, False))


def test_the_quota_s_file_is_telemts(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "quota.json"
    before = users()
    for user in before:
        assert user.take(70) == 70
        assert user.take(70) == 30
        assert user.spent
    before.get("bob").quota_reset = 5
    save_quota_state(path, before)
    assert json.loads(path.read_text()) == {
        "last_reset_epoch_secs": 5,
        "users": {
            "alice": {"used_bytes": 100, "last_reset_epoch_secs": 0},
            "bob": {"used_bytes": 100, "last_reset_epoch_secs": 5},
        },
    }
    assert [entry.name for entry in path.parent.iterdir()] == ["quota.json"]
    after = users()
    load_quota_state(path, after)
    assert [(user.quota_used, user.quota_reset) for user in after] == [(100, 5), (100, 0)]


def test_a_server_keeps_the_quota_over_its_own_restart(lab, tmp_path: Path) -> None:
    state = {
        "last_reset_epoch_secs": 0,
        "users": {"alice": {"used_bytes": 9, "last_reset_epoch_secs": 0}},
    }
    (tmp_path / "quota.json").write_text(json.dumps(state))
    running = lab(extra="[access.user_data_quota]\nalice = 9")
    peer = running.peer().start()
    with peer.sock:
        assert peer.sock.recv(1) == b""


@pytest.mark.parametrize("text", ["", "[]", '{"users": {"a": 1}}', '{"users": {"a": {}}}', "\0"])
def test_a_quota_file_that_is_broken_is_told_and_survived(lab, tmp_path: Path, text: str) -> None:
    (tmp_path / "quota.json").write_text(text)
    with pytest.raises(QuotaStateError, match="not read"):
        load_quota_state(tmp_path / "quota.json", users())


def test_a_missing_quota_file_is_no_event_and_one_that_cannot_be_written_is(tmp_path: Path) -> None:
    load_quota_state(tmp_path / "none.json", users())
    (tmp_path / "file").write_text("")
    with pytest.raises(QuotaStateError, match="not written"):
        save_quota_state(tmp_path / "file" / "quota.json", users())


def test_without_a_quota_nothing_is_charged() -> None:
    user = users(None).get("bob")
    assert user.take(10**12) == 10**12
    assert (user.spent, user.quota_used) == (False, 0)


@pytest.mark.parametrize(
    ("mode", "refused_after_leaving"),
    [
        ("active_window", ""),
        ("time_window", "address limit exceeded"),
        ("combined", "address limit exceeded"),
    ],
)
def test_which_addresses_count(mode: str, refused_after_leaving: str) -> None:
    entry = UserEntry("bob", SECRET, True, 0, 1, None)
    some = Users(Access((entry,), mode, 30, 1, 1, False))
    bob = some.get("bob")
    assert some.admit(bob, "192.0.2.1") == ""
    some.release(bob, "192.0.2.1")
    assert some.admit(bob, "192.0.2.2") == refused_after_leaving
    assert bob.active == ({} if refused_after_leaving else {"192.0.2.2": 1})


def test_a_disabled_user_is_closed(lab) -> None:
    running = lab(extra="[access.user_enabled]\nalice = false")
    peer = running.peer().start()
    with peer.sock:
        assert peer.sock.recv(1) == b""


@DOUBLE
def test_the_api_s_page_of_users_has_telemts_keys_and_no_secret(lab, http) -> None:
    running = lab(extra="[access]\nuser_max_tcp_conns_global_each = 7")
    peer = running.peer().start()
    with peer.sock:
        peer.req_pq()
        body = http(running.api, "/v1/users")[2]
    assert SECRET.hex() not in body
    (alice,) = json.loads(body)["data"]
    assert (alice["username"], alice["max_tcp_conns"], alice["current_connections"]) == (
        "alice",
        7,
        1,
    )
    assert alice["active_unique_ips_list"] == ["127.0.0.1"]
    assert alice["total_octets"] > 40
