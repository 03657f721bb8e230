"""`stackctl probe LINK`: exit statuses, both reports, and no secret in either."""

from __future__ import annotations

import gc
import io
import json
import socket
import struct
import sys
import threading
from collections.abc import Iterator
from contextlib import suppress
from threading import Thread

import pytest

from stackctl.cli.main import main
from stackctl.handshake import link_connect

KEY = "8f3a5c7e9b1d2f4a6c8e0b2d4f6a8c0e"
DOMAIN = "www.example.com"


def url(port: int, mode: str = "ee", host: str = "127.0.0.1") -> str:
    tail = DOMAIN.encode().hex() if mode == "ee" else ""
    return f"tg://proxy?server={host}&port={port}&secret={mode}{KEY}{tail}"


def run(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], *argv: str
) -> tuple[int, str, str]:
    """Exit status, stdout and stderr; no part of the secret may be in them."""
    monkeypatch.setattr(sys, "argv", ["stackctl", "probe", *argv])
    with pytest.raises(SystemExit) as stopped:
        main()
    gc.enable()  # a command of its own has no use for it, this process has
    out, err = capsys.readouterr()
    for part in (KEY[:8], KEY[-8:], KEY.upper()[:8]):
        assert part not in out + err
    return int(stopped.value.code or 0), out, err


Captured = pytest.CaptureFixture[str]
Patch = pytest.MonkeyPatch


@pytest.fixture
def web_server() -> Iterator[int]:
    """Answers anybody in plain HTTP; no proxy."""

    def serve() -> None:
        while True:
            try:
                sock = listener.accept()[0]
            except OSError:
                return
            # A client that has seen enough may be gone.
            with sock, suppress(OSError):
                sock.recv(4096)
                sock.sendall(b"HTTP/1.1 400 Bad Request\r\nServer: \x1b[31mnginx\r\n\r\n")

    with socket.create_server(("127.0.0.1", 0)) as listener:
        Thread(target=serve, daemon=True).start()
        yield int(listener.getsockname()[1])
        listener.shutdown(socket.SHUT_RDWR)


@pytest.fixture
def closed_port() -> Iterator[int]:
    """Bound, so that nobody takes it, and not listening."""
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        yield int(sock.getsockname()[1])


@pytest.fixture(autouse=True)
def no_pause(monkeypatch: Patch) -> None:
    monkeypatch.setattr("stackctl.handshake.link_trials.time.sleep", lambda _: None)


def test_a_web_server_is_no_proxy(web_server: int, monkeypatch: Patch, capsys: Captured) -> None:
    for mode in ("dd", "ee", ""):
        status, out, err = run(monkeypatch, capsys, url(web_server, mode))
        assert status == 1
        assert "HTTP/1.1 400 Bad Request" in out
        assert "do: " in out
        assert "\x1b[31m" not in out
        assert "looking for the cause" in err


def test_json_says_the_same(web_server: int, monkeypatch: Patch, capsys: Captured) -> None:
    status, out, _ = run(monkeypatch, capsys, "--json", url(web_server, "dd"))
    document = json.loads(out)
    assert status == document["exit"] == 1
    assert document["mode"] == "secure"
    assert document["domain"] is None
    (address,) = document["addresses"]
    assert address["address"] == "127.0.0.1"
    assert [hop["name"] for hop in address["hops"]] == ["connect"]
    assert address["failure"]["hop"] == "answer"
    assert address["failure"]["cause"] == "not-mtproto"
    assert address["explanation"]["cause"] == "secret"
    assert {trial["name"] for trial in address["trials"]} == {"site", "classic"}


@pytest.fixture
def resetting_port() -> Iterator[int]:
    """Takes a connection and resets it at once."""

    def serve() -> None:
        while True:
            try:
                sock = listener.accept()[0]
            except OSError:
                return
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            sock.close()

    with socket.create_server(("127.0.0.1", 0)) as listener:
        Thread(target=serve, daemon=True).start()
        yield int(listener.getsockname()[1])
        listener.shutdown(socket.SHUT_RDWR)


@pytest.mark.parametrize("mode", ["", "dd", "ee"])
def test_a_peer_that_resets_at_once_is_reported(
    resetting_port: int, mode: str, monkeypatch: Patch, capsys: Captured
) -> None:
    status, out, _ = run(monkeypatch, capsys, "--json", url(resetting_port, mode))
    assert status == 1
    (address,) = json.loads(out)["addresses"]
    assert address["failure"]["cause"] == "reset"
    assert address["explanation"]["cause"] == "refused-client"
    assert address["trials"][0]["name"] == "proxy-header"


def test_a_closed_port_is_unreachable(
    closed_port: int, monkeypatch: Patch, capsys: Captured
) -> None:
    status, out, _ = run(monkeypatch, capsys, url(closed_port))
    assert status == 3
    assert "refused" in out
    assert "do: start the proxy" in out


def test_every_address_is_probed(closed_port: int, monkeypatch: Patch, capsys: Captured) -> None:
    rows = [(2, 1, 6, "", (a, 0)) for a in ("127.0.0.1", "127.0.0.2", "127.0.0.1")]
    monkeypatch.setattr(link_connect.socket, "getaddrinfo", lambda *_, **__: rows)
    _, out, _ = run(monkeypatch, capsys, "--json", url(closed_port, host="proxy.example.com"))
    assert [a["address"] for a in json.loads(out)["addresses"]] == ["127.0.0.1", "127.0.0.2"]


def test_a_name_that_is_unknown_is_unreachable(monkeypatch: Patch, capsys: Captured) -> None:
    def unknown(*_: object, **__: object) -> None:
        raise socket.gaierror(-2, "Name or service not known")

    monkeypatch.setattr(link_connect.socket, "getaddrinfo", unknown)
    status, out, _ = run(monkeypatch, capsys, url(443, host="no.such.example"))
    assert status == 3
    assert "Name or service not known" in out
    assert "do: correct the link's server" in out


def test_a_resolver_that_is_mute_costs_the_time_given(monkeypatch: Patch, capsys: Captured) -> None:
    never = threading.Event()

    def mute(*_: object, **__: object) -> list[object]:
        never.wait(5)
        return []

    monkeypatch.setattr(link_connect.socket, "getaddrinfo", mute)
    status, out, _ = run(monkeypatch, capsys, "--timeout", "0.2", url(443, host="a.example"))
    never.set()
    assert status == 3
    assert "no resolver answered" in out


@pytest.mark.parametrize(
    ("argv", "words"),
    [
        ([f"tg://proxy?server=a&secret={KEY}"], "port: missing"),
        ([f"tg://proxy?server=a&port=443&secret=zz{KEY}"], "secret: "),
        ([f"tg://socks?server=a&port=443&secret={KEY}"], "link: "),
        ([url(443), url(444)], "LINK: more than one was given"),
    ],
)
def test_a_bad_link_is_usage(
    argv: list[str], words: str, monkeypatch: Patch, capsys: Captured
) -> None:
    status, out, err = run(monkeypatch, capsys, *argv)
    assert status == 2
    assert not out
    assert words in err
    assert "do: " in err


@pytest.mark.parametrize("option", ["--dc", "--timeout"])
@pytest.mark.parametrize("value", [url(443), "1e400", "nan", "-1e9", "0"])
def test_an_option_that_is_given_nonsense_does_not_repeat_it(
    option: str, value: str, monkeypatch: Patch, capsys: Captured
) -> None:
    if (option, value) == ("--dc", "0"):
        value = "none"
    status, out, err = run(monkeypatch, capsys, option, value, url(443))
    assert status == 2
    assert not out
    assert option in err


def test_a_link_can_come_on_stdin(closed_port: int, monkeypatch: Patch, capsys: Captured) -> None:
    monkeypatch.setattr(sys, "stdin", io.StringIO(url(closed_port) + "\n"))
    status, _, _ = run(monkeypatch, capsys, "-")
    assert status == 3


@pytest.mark.parametrize(
    ("address", "expected"),
    [
        ("127.0.0.1", True),
        ("::1", True),
        ("10.1.2.3", True),
        ("fd00::1", True),
        ("fe80::1%eth0", True),
        ("8.8.8.8", False),
        ("2a00::1", False),
    ],
)
def test_a_proxy_header_is_for_private_addresses(address: str, expected: bool) -> None:
    assert link_connect.near(address) is expected
