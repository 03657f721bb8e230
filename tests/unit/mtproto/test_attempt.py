"""The edge with its socket: peers that stall, stream, reset, half-close and answer late."""

from __future__ import annotations

import importlib
import socket
import struct
import threading
import time
import tracemalloc
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from threading import Thread

import pytest

from stackctl.mtproto import Attempt, Secret, attempt

from .server import DOMAIN, KEY, Proxy, flight, unwrapped, wrapped

TLS = Secret("tls", KEY, DOMAIN)
SECURE = Secret("secure", KEY)
SOON = 0.1
"""Seconds to a deadline that is meant to pass."""
PATIENCE = 30.0
"""Seconds until a peer, or a deadline that must not pass, gives up: reached by a failure only."""


@contextmanager
def peer(behave: Callable[[socket.socket], None]) -> Iterator[socket.socket]:
    """A connected socket whose other end behaves like this, in a thread of its own."""
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def run() -> None:
            with listener.accept()[0] as sock:
                sock.settimeout(PATIENCE)
                try:
                    behave(sock)
                except OSError:
                    return

        thread = Thread(target=run)
        thread.start()
        with socket.create_connection(listener.getsockname()) as client:
            yield client
        thread.join(2 * PATIENCE)
        assert not thread.is_alive()


def tried(
    behave: Callable[[socket.socket], None], secret: Secret = TLS, seconds: float = PATIENCE
) -> tuple[Attempt, float]:
    """The attempt against such a peer, and the seconds it took."""
    with peer(behave) as sock:
        start = time.monotonic()
        result = attempt(sock, secret, deadline=start + seconds)
        took = time.monotonic() - start
        assert sock.gettimeout() is None
        assert sock.fileno() >= 0
    return result, took


def exactly(sock: socket.socket, count: int) -> bytes:
    data = b""
    while len(data) < count:
        more = sock.recv(count - len(data))
        if not more:
            raise ConnectionResetError
        data += more
    return data


def until_closed(sock: socket.socket) -> None:
    while sock.recv(4096):
        pass


def cause(result: Attempt) -> tuple[str, str]:
    assert result.failure is not None
    return result.failure.hop, result.failure.cause


def serve(
    sock: socket.socket, before_answer: Callable[[], None] = lambda: None, half: bool = False
) -> None:
    sock.sendall(flight(exactly(sock, 517)))
    head = exactly(sock, 11)
    proxy = Proxy(unwrapped(head + exactly(sock, int.from_bytes(head[9:11], "big"))))
    before_answer()
    for byte in wrapped(proxy.answer(b"abc"), 16):
        sock.sendall(bytes([byte]))
    if half:
        sock.shutdown(socket.SHUT_WR)
    until_closed(sock)


@pytest.mark.parametrize("half", [False, True])
def test_an_answer_is_an_answer(half: bool) -> None:
    result, took = tried(lambda sock: serve(sock, half=half))
    assert result.failure is None
    assert [step.hop for step in result.steps] == ["tls", "answer"]
    assert sum(step.ms for step in result.steps) <= took * 1000


class Clock:
    """The attempt's own clock, which a peer moves on instead of waiting."""

    def __init__(self) -> None:
        self.ahead = 0.0

    def monotonic(self) -> float:
        return time.monotonic() + self.ahead

    def time(self) -> float:
        return time.time()

    def pass_by(self, seconds: float) -> None:
        self.ahead += seconds


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    moved = Clock()
    # By its module: the package exports the function under the same name.
    monkeypatch.setattr(importlib.import_module("stackctl.mtproto.attempt"), "time", moved)
    return moved


def test_an_answer_before_the_deadline_counts_with_its_time(clock: Clock) -> None:
    result, _ = tried(lambda sock: serve(sock, lambda: clock.pass_by(PATIENCE / 2)), TLS)
    assert result.failure is None
    assert result.steps[1].ms >= 1000 * PATIENCE / 2


def test_an_answer_that_begins_after_the_deadline_is_a_timeout(clock: Clock) -> None:
    result, _ = tried(lambda sock: serve(sock, lambda: clock.pass_by(2 * PATIENCE)), TLS)
    assert cause(result) == ("answer", "timeout")


@pytest.mark.parametrize("secret", [TLS, SECURE])
def test_a_mute_peer_costs_the_time_given_and_no_more(secret: Secret) -> None:
    result, took = tried(until_closed, secret, SOON)
    # The peer gives up much later, and the cause would be "closed" then.
    assert cause(result) == ("tls" if secret is TLS else "answer", "timeout")
    assert took >= SOON


def drip(sock: socket.socket) -> None:
    """A byte of a record at a time: each receive succeeds, so only a deadline for all helps.

    The whole lasts 20 seconds and then ends: the cause would be "closed".
    """
    for byte in b"\x16\x03\x03\x40\x00" + bytes(2000):
        sock.sendall(bytes([byte]))
        time.sleep(0.01)


def test_a_peer_that_drips_does_not_hold_us() -> None:
    result, took = tried(drip, TLS, SOON)
    assert cause(result) == ("tls", "timeout")
    assert took >= SOON


def reset(sock: socket.socket) -> None:
    exactly(sock, 64)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


@pytest.mark.parametrize("secret", [TLS, SECURE])
def test_a_reset_is_a_reset(secret: Secret) -> None:
    result, _ = tried(reset, secret)
    assert cause(result)[1] == "reset"


def close(sock: socket.socket) -> None:
    sock.shutdown(socket.SHUT_WR)
    until_closed(sock)


@pytest.mark.parametrize("secret", [TLS, SECURE])
def test_a_peer_that_closes_at_once_has_closed(secret: Secret) -> None:
    result, _ = tried(close, secret)
    assert cause(result)[1] == "closed"


@pytest.mark.parametrize("endless", [wrapped(bytes(16384)), bytes(2**16), b"\xff" * 2**16])
@pytest.mark.parametrize("secret", [TLS, SECURE])
def test_a_peer_that_streams_for_ever_is_cut_off(secret: Secret, endless: bytes) -> None:
    def stream(sock: socket.socket) -> None:
        if secret is TLS:
            sock.sendall(flight(exactly(sock, 517)))
        while True:
            sock.sendall(endless)

    with peer(stream) as sock:
        tracemalloc.start()
        result = attempt(sock, secret, deadline=time.monotonic() + PATIENCE)
        _, most = tracemalloc.get_traced_memory()
        tracemalloc.stop()
    assert result.failure is not None
    assert result.failure.cause in {"too-much", "bad-answer"}
    assert most < 4 * 2**20


def test_a_peer_that_reads_nothing_does_not_hold_us() -> None:
    over = threading.Event()

    def silent(_: socket.socket) -> None:
        over.wait(PATIENCE)

    with peer(silent) as sock:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1)
        sock.setblocking(False)
        try:
            while True:
                sock.send(bytes(65536))
        except BlockingIOError:
            pass
        start = time.monotonic()
        result = attempt(sock, TLS, deadline=start + SOON)
        # The peer would close at the end of its patience.
        assert cause(result)[1] == "timeout"
        assert sock.gettimeout() == 0
        over.set()


def test_a_deadline_that_is_over_is_over() -> None:
    with peer(until_closed) as sock:
        assert cause(attempt(sock, TLS, deadline=time.monotonic() - 1)) == ("tls", "timeout")


def test_a_site_is_heard_out_for_a_moment() -> None:
    def site(sock: socket.socket) -> None:
        exactly(sock, 517)
        sock.sendall(b"H")
        time.sleep(0.05)
        sock.sendall(b"TTP/1.1 400 Bad Request\r\nServer: nginx\r\n\r\n")
        until_closed(sock)

    result, _ = tried(site)
    assert cause(result) == ("tls", "not-fake-tls")
    assert result.failure is not None
    assert "400 Bad Request (nginx)" in result.failure.detail
