"""How the collector's container is given its request, and what becomes of its answer."""

from __future__ import annotations

import json
from typing import Any

import pytest

from stackctl.collector.answer import VERSION
from stackctl.collector.request import HandshakesAsked, Request
from stackctl.collector.wire import decode, encode
from stackctl.engine.collector import COLLECTOR_IMAGE, line, run_collector
from stackctl.errors import EngineError

SECRET = "0123456789abcdef0123456789abcdef"
SHAKES = HandshakesAsked({"alice": SECRET}, ("secure",), "www.example.com", None, {})
REQUEST = Request(version=VERSION, sysctls=(), handshakes=SHAKES)


class Socket:
    """The way in, as the SDK hands it out."""

    def __init__(self, broken: bool = False) -> None:
        self.sent = b""
        self.closed = False
        self.broken = broken

    def sendall(self, data: bytes) -> None:
        if self.broken:
            raise BrokenPipeError
        self.sent += data

    def close(self) -> None:
        self.closed = True


class Container:
    """One that answers with what the test gives it."""

    def __init__(self, way_in: Socket, answer: bytes, errors: bytes, status: int) -> None:
        self.way_in, self.answer, self.errors, self.status = way_in, answer, errors, status
        self.started = self.removed = False

    def attach(self, **_: object) -> list[tuple[bytes | None, bytes | None]]:
        return [(self.answer, None), (None, self.errors)]

    def attach_socket(self, params: dict[str, int]) -> Socket:
        assert params == {"stdin": 1, "stream": 1}
        return self.way_in

    def start(self) -> None:
        self.started = True

    def wait(self) -> dict[str, int]:
        return {"StatusCode": self.status}

    def remove(self, force: bool) -> None:
        self.removed = force


class Client:
    """An engine with one container to give."""

    def __init__(self, container: Container) -> None:
        self.container = container
        self.asked: tuple[tuple[object, ...], dict[str, object]] = ((), {})
        self.containers = self

    def create(self, *args: object, **options: object) -> Container:
        self.asked = (args, options)
        return self.container


def test_the_request_is_one_line() -> None:
    sent = line(REQUEST)
    assert sent.count(b"\n") == 1
    assert sent.endswith(b"\n")
    assert decode(Request, json.loads(sent)) == REQUEST


def test_what_the_engine_shows_of_the_container_has_no_secret(response: dict[str, Any]) -> None:
    way_in = Socket()
    answer = json.dumps(response).encode() + b"\n"
    client: Any = Client(Container(way_in, answer, b"", 0))
    assert encode(run_collector(client, REQUEST, "lab")) == response
    assert SECRET.encode() in way_in.sent
    args, options = client.asked
    assert args == (COLLECTOR_IMAGE,)
    assert options["stdin_open"] is True
    assert SECRET not in repr(options)
    assert client.container.started
    assert client.container.removed
    assert way_in.closed


def test_a_collector_that_ends_at_once_says_why() -> None:
    client: Any = Client(Container(Socket(broken=True), b"", b"no python here", 127))
    with pytest.raises(EngineError, match="status 127: no python here"):
        run_collector(client, REQUEST, "lab")
    assert client.container.removed
