"""Connections that are not a user's: wrong secret, domain or clock, replays, browsers, scanners."""

import asyncio
import contextlib
import os
import socket
import ssl
import time
from pathlib import Path

import pytest

from mtpeer import Peer, client_hello
from telemt_lab.load import load
from telemt_lab.masking import Masking
from telemt_lab.verdicts import Fallback

# Once is enough for what takes a while; and against the binary, where there is one.
ONCE = pytest.mark.parametrize(
    "lab", ["uvloop", *(["binary"] if os.environ.get("TELEMT_BINARY") else [])], indirect=True
)
SECRET = bytes.fromhex("00112233445566778899aabbccddeeff")
WRONG = bytes.fromhex("ff112233445566778899aabbccddeeff")
DOMAIN = "www.example.com"
AT_ONCE = "server_hello_delay_max_ms = 0\n"
# For connections that must get no answer: the test ends when that time is over.
FAST = f"{AT_ONCE}mask_relay_idle_timeout_ms = 60\n"


def to_site(centre, idle_ms: int = 30_000) -> str:
    """The site answers and ends the connection, however busy the machine is."""
    host, port = centre.site
    return (
        f"{AT_ONCE}mask_relay_idle_timeout_ms = {idle_ms}\n"
        f'mask = true\nmask_host = "{host}"\nmask_port = {port}'
    )


def everything(client: socket.socket) -> bytes:
    """What comes until the end, however it ends."""
    received = b""
    with contextlib.suppress(ConnectionResetError):
        while chunk := client.recv(65536):
            received += chunk
    return received


def bad(running, reason: str) -> float:
    return running.metric(f'connections_bad_by_class_total{{class="{reason}"}}')


HELLOS = {
    "wrong secret": (lambda: client_hello(WRONG, DOMAIN), "tls_handshake_bad_client"),
    "clock behind": (lambda: client_hello(SECRET, DOMAIN, time.time() - 125), None),
    "clock ahead": (lambda: client_hello(SECRET, DOMAIN, time.time() + 125), None),
    "alpn": (lambda: client_hello(SECRET, DOMAIN, alpn=b"ftp"), None),
    "key share": (lambda: client_hello(SECRET, DOMAIN, share=0x17), None),
}


@pytest.mark.parametrize("hello", HELLOS)
def test_a_hello_that_proves_nothing_is_the_site_s(lab, http, centre, hello: str) -> None:
    running = lab(censorship=to_site(centre))
    with running.connect() as client:
        client.sendall(HELLOS[hello][0]())
        reply = everything(client)
    # An alert, or a ServerHello of its own: the site's, in either case not signed with our secret.
    assert reply[:1] in {b"\x15", b"\x16"}
    assert bad(running, "tls_handshake_bad_client") == 1
    assert http(running.metrics, "/beobachten")[2] == "[TLS-scanner]\n127.0.0.1-1\n"


@pytest.mark.parametrize("off", [-115, 115])
def test_a_clock_less_than_two_minutes_off_is_good(lab, off: int) -> None:
    peer = lab().peer("tls")
    with peer.sock:
        peer.greet(client_hello(SECRET, DOMAIN, time.time() + off))


def test_seconds_since_boot_are_taken_for_a_clock(lab) -> None:
    peer = lab().peer("tls")
    with peer.sock:
        peer.greet(client_hello(SECRET, DOMAIN, 100))


def test_the_skew_may_be_ignored(lab) -> None:
    peer = lab(extra="[access]\nignore_time_skew = true").peer("tls")
    with peer.sock:
        peer.greet(client_hello(SECRET, DOMAIN, 1_000_000))


def test_a_hello_is_good_once(lab, centre) -> None:
    running = lab(censorship=to_site(centre))
    hello = client_hello(SECRET, DOMAIN)
    first = running.peer("tls")
    with first.sock:
        first.greet(hello)
    with running.connect() as second:
        second.sendall(hello)
        assert everything(second)[:1] in {b"\x15", b"\x16"}
    assert bad(running, "tls_handshake_bad_client") == 1


def test_a_first_message_is_good_once(lab) -> None:
    running = lab(censorship=FAST + "mask = false")
    first = running.peer()
    with first.sock:
        init = first.first_message()
        first.sock.sendall(init)
        first.req_pq()
    with running.connect() as second:
        second.sendall(init)
        assert everything(second) == b""
    assert bad(running, "direct_mtproto_bad_client") == 1


@pytest.mark.parametrize(
    ("action", "reply", "counted"),
    [
        ("drop", b"", ("unknown_tls_sni", "[other]")),
        ("reject_handshake", bytes.fromhex("15030300020270"), ("unknown_tls_sni", "[other]")),
        ("mask", None, ("tls_handshake_bad_client", "[TLS-scanner]")),
    ],
)
def test_a_name_that_is_not_ours(
    lab, http, centre, action: str, reply: bytes | None, counted: tuple[str, str]
) -> None:
    running = lab(censorship=f'{to_site(centre)}\nunknown_sni_action = "{action}"')
    with running.connect() as client:
        client.sendall(client_hello(SECRET, "www.example.net"))
        got = everything(client)
    assert got == reply if reply is not None else got[:1] in {b"\x15", b"\x16"}
    assert bad(running, counted[0]) == 1
    assert http(running.metrics, "/beobachten")[2] == f"{counted[1]}\n127.0.0.1-1\n"


@pytest.mark.parametrize(
    ("censorship", "name"),
    [
        ('unknown_sni_action = "accept"', "www.example.net"),
        ('tls_domains = ["two.example"]', "two.example"),
        ("", "WWW.EXAMPLE.COM"),
        ("", ""),
    ],
)
def test_names_that_are_good(lab, censorship: str, name: str) -> None:
    peer = lab(censorship=FAST + censorship).peer("tls")
    with peer.sock:
        peer.greet(client_hello(SECRET, name))


def test_a_browser_gets_the_site(lab, http, centre) -> None:
    running = lab(censorship=to_site(centre))
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    with context.wrap_socket(running.connect(), server_hostname=DOMAIN) as client:
        client.sendall(b"GET / HTTP/1.1\r\nHost: www.example.com\r\n\r\n")
        assert b"lab's site" in everything(client)
    assert bad(running, "tls_handshake_bad_client") == 1


@pytest.mark.parametrize("modes", ["{tls = true}", "{secure = true, tls = true}"])
def test_plain_http_gets_the_site_with_every_byte_it_sent(lab, http, centre, modes: str) -> None:
    running = lab(censorship=to_site(centre), modes=modes)
    with running.connect() as client:
        client.sendall(b"GET / HTTP/1.1\r\nHost: www.example.com\r\nX-Long: " + b"x" * 60)
        client.sendall(b"\r\n\r\n")
        assert b"lab's site" in everything(client)
    reason = "direct_mtproto_bad_client" if "secure" in modes else "direct_modes_disabled"
    assert bad(running, reason) == 1
    assert http(running.metrics, "/beobachten")[2] == "[HTTP]\n127.0.0.1-1\n"


@pytest.mark.parametrize(
    ("mask", "name", "target"),
    [
        ("", None, (DOMAIN, 443)),
        ("", "two.example", ("two.example", 443)),
        ("", "three.example", (DOMAIN, 443)),
        ("mask_dynamic = false", "two.example", (DOMAIN, 443)),
        ('mask_host = "10.0.0.9"\nmask_port = 8443', "two.example", ("10.0.0.9", 8443)),
    ],
)
def test_where_strangers_go(
    tmp_path: Path, mask: str, name: str | None, target: tuple[str, int]
) -> None:
    path = tmp_path / "t.toml"
    path.write_text(f'[censorship]\ntls_domain = "{DOMAIN}"\ntls_domains = ["two.example"]\n{mask}')
    masking = Masking(asyncio.new_event_loop(), load(path).censorship)
    assert masking.target(Fallback("reason", name=name)) == target


def test_without_a_mask_a_stranger_hears_nothing(lab) -> None:
    running = lab(censorship=FAST + "mask = false")
    with running.connect() as client:
        began = time.monotonic()
        client.sendall(b"GET / HTTP/1.1\r\n" + b"X: y\r\n" * 10 + b"\r\n")
        assert everything(client) == b""
    # Not at once: as long as it would have been left to talk.
    assert time.monotonic() - began >= 0.05


def test_a_user_of_fake_tls_whose_first_message_is_wrong(lab, http, centre) -> None:
    # The real Telemt sends the site less than a record: it waits for more until the idle timeout.
    running = lab(censorship=to_site(centre, idle_ms=100))
    peer = running.peer("tls")
    with peer.sock:
        peer.greet()
        peer.sock.sendall(b"\x17\x03\x03\x00\x50" + bytes(80))
        # The 16 bytes beyond the message reach the site as a record; it answers with an alert.
        assert everything(peer.sock)[:1] in {b"\x15", b"H", b""}
    assert bad(running, "tls_mtproto_bad_client") == 1
    assert http(running.metrics, "/beobachten")[2] == "[port-scanner]\n127.0.0.1-1\n"


@pytest.mark.parametrize(
    ("sent", "reason", "kind"),
    [
        (b"\x16\x03\x01\x00\x10" + bytes(16), "tls_clienthello_len_out_of_bounds", "TLS-scanner"),
        (b"\x16\x03\x01\x40\x01", "tls_clienthello_len_out_of_bounds", "TLS-scanner"),
        (b"\x16\x03\x01\x00\xc8" + bytes(99), "tls_clienthello_truncated", "TLS-scanner"),
        (b"\x16\x03\x03\x00\xc8" + bytes(200), "tls_handshake_bad_client", "TLS-scanner"),
        (b"SSH-2.0-OpenSSH_9.9" + bytes(60), "direct_mtproto_bad_client", "SSH"),
        (bytes(64), "direct_mtproto_bad_client", "unknown"),
    ],
)
def test_how_strangers_are_counted(lab, http, sent: bytes, reason: str, kind: str) -> None:
    running = lab(censorship=FAST + "mask = false")
    with running.connect() as client:
        client.sendall(sent)
        client.shutdown(socket.SHUT_WR)
        assert everything(client) == b""
    assert bad(running, reason) == 1
    assert http(running.metrics, "/beobachten")[2] == f"[{kind}]\n127.0.0.1-1\n"


@pytest.mark.parametrize(
    ("after_hello", "failure", "kind"),
    [
        (b"", "expected_64_got_0_unexpected_eof", "expected_64_got_0"),
        (
            b"\x17\x03\x03\x00\x40" + bytes(20),
            "expected_64_got_0_unexpected_eof",
            "expected_64_got_0",
        ),
        (b"\x15\x03\x03\x00\x02\x01\x00", "expected_64_got_0_unexpected_eof", "expected_64_got_0"),
        (b"GET / HTTP/1.1\r\n\r\n", "other", "other"),
    ],
)
def test_who_stops_after_the_flight(
    lab, http, after_hello: bytes, failure: str, kind: str, eventually
) -> None:
    running = lab()
    peer = running.peer("tls")
    with peer.sock:
        peer.greet()
        peer.sock.sendall(after_hello)
        # What is no record may have ended the connection already.
        with contextlib.suppress(OSError):
            peer.sock.shutdown(socket.SHUT_WR)
        assert everything(peer.sock) == b""
    counted = f'handshake_failures_by_class_total{{class="{failure}"}}'
    eventually(lambda: running.metric(counted), 1)
    assert http(running.metrics, "/beobachten")[2] == f"[{kind}]\n127.0.0.1-1\n"


@ONCE
def test_the_handshake_has_its_time(lab, http) -> None:
    running = lab(extra="[timeouts]\nclient_handshake = 1")
    with running.connect() as client:
        began = time.monotonic()
        client.sendall(b"x")
        assert everything(client) == b""
        assert time.monotonic() - began > 0.9
    assert running.metric("handshake_timeouts_total") == 1
    assert http(running.metrics, "/beobachten")[2] == "[other]\n127.0.0.1-1\n"


@ONCE
def test_a_client_that_says_nothing_has_its_time_and_is_no_event(lab, http) -> None:
    running = lab(extra="[timeouts]\nclient_first_byte_idle_secs = 1")
    with running.connect() as client:
        assert everything(client) == b""
    assert running.metric("connections_bad_total") == 0
    assert http(running.metrics, "/beobachten")[2] == "empty\n"


@ONCE
def test_an_address_that_keeps_failing_waits_a_moment(lab, eventually) -> None:
    """How long depends on the failures, so on a slow machine it may be over: then more fail."""
    running = lab(censorship=FAST + "mask = false")

    def answered() -> bool:
        peer = running.peer().start()
        with peer.sock:
            try:
                peer.req_pq()
            except (EOFError, ConnectionResetError):
                return False
        return True

    def refused_after_failures(failures: int) -> bool:
        for _ in range(failures):
            with running.connect() as client:
                client.sendall(bytes(64))
                client.shutdown(socket.SHUT_WR)
                everything(client)
        return not answered()

    assert any(refused_after_failures(failures) for failures in range(8, 40, 4))
    # Waiting is all it takes.
    eventually(answered, True)


def test_the_delay_of_the_flight_is_kept(lab) -> None:
    censorship = "server_hello_delay_min_ms = 150\nserver_hello_delay_max_ms = 150\nmask = false"
    peer = lab(censorship=censorship).peer("tls")
    with peer.sock:
        began = time.monotonic()
        peer.greet()
        assert time.monotonic() - began >= 0.14
        peer.sock.sendall(peer.first_message())
        peer.req_pq()


@ONCE
def test_many_change_cipher_specs_fill_no_memory(lab) -> None:
    peer = lab().peer("tls")
    with peer.sock:
        peer.greet()
        for _ in range(20):
            peer.sock.sendall(b"\x14\x03\x03\x00\x01\x01" * 1000)
        peer.sock.sendall(peer.first_message())
        peer.req_pq()


def test_a_wrong_secret_of_the_plain_modes(lab, http) -> None:
    running = lab(censorship=FAST + "mask = false")
    peer = Peer(running.connect(), "secure", WRONG)
    with peer.sock:
        peer.start()
        assert everything(peer.sock) == b""
    assert bad(running, "direct_mtproto_bad_client") == 1
