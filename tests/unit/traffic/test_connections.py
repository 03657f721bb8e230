"""One process's connections, where not all can be had, and where answers are long."""

from __future__ import annotations

import array
import fcntl
import resource
import socket
import termios
import time
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import islice
from pathlib import Path

from stackctl.traffic.connections import Connections
from stackctl.traffic.pace import Pace
from stackctl.traffic.slots import HELD, Slots
from stackctl.traffic.talk import Plain

from . import server as behaviours
from .server import Server, serving

PACE = Pace(rate=0, burst=False, in_flight=16, timeout=30)


def opened(
    address: tuple[str, int], count: int, sources: tuple[str, ...], seconds: float = 30
) -> tuple[Connections, Slots]:
    """So many connections begun, and each open or failed."""
    slots = Slots(4096, ciphers=False)
    talk = Plain("localhost")
    connections = Connections(address, sources, 0, count, slots, talk)
    connections.open(PACE, time.monotonic() + seconds, lambda: None)
    return connections, slots


def test_of_a_batch_only_those_fail_whose_source_is_not_to_be_had() -> None:
    with serving(behaviours.echo) as server:
        connections, _ = opened(server.address, 50, ("127.0.1.1", "192.0.2.1"))
        tally = connections.tally
        assert (tally.opened, tally.held, tally.failed) == (25, 25, {"no-port": 25})
        assert server.peers == {"127.0.1.1"}
        connections.close()


def test_those_for_which_descriptors_are_left_are_begun() -> None:
    with socket.create_server(("127.0.0.1", 0), backlog=64) as listener, nofile(left=10):
        # Nobody accepts, so these are begun and not answered.
        connections, _ = opened(listener.getsockname(), 40, ("127.0.1.1",), seconds=1)
        failed = connections.tally.failed
        assert sum(failed.values()) == 40
        # Nine; eight where another thread of the test's process takes one for a moment.
        assert failed["answer-timeout"] in {8, 9}
        assert set(failed) == {"no-descriptor", "answer-timeout"}
        connections.close()


def test_an_answer_longer_than_is_read_at_once_is_read_to_its_end() -> None:
    def long(server: Server, sock: socket.socket, _: bytes) -> None:
        server.send(sock, b"x" * 20_000)

    with serving(long) as server:
        connections, slots = opened(server.address, 20, ("127.0.1.1",))
        end = time.monotonic() + 30
        held = [fd for fd, state in enumerate(slots.state) if state == HELD]
        while any(unread(fd) for fd in held) and time.monotonic() < end:
            connections.turn(0.05)
        assert [unread(fd) for fd in held] == [0] * 20
        assert (connections.tally.held, connections.tally.lost) == (20, {})
        connections.close()


def test_what_is_said_and_closed_at_once_is_lost_and_not_failed() -> None:
    def last_words(server: Server, sock: socket.socket, data: bytes) -> None:
        server.send(sock, data)
        server.close(sock)

    with serving(last_words) as server:
        connections, _ = opened(server.address, 20, ("127.0.1.1",))
        end = time.monotonic() + 30
        while connections.tally.held and time.monotonic() < end:
            connections.turn(0.05)
        tally = connections.tally
        assert (tally.opened, tally.failed, tally.lost) == (20, {}, {"closed": 20})
        connections.close()


@contextmanager
def nofile(left: int) -> Iterator[None]:
    """This process may have so many descriptors more than it has."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    listed = list(Path("/proc/self/fd").iterdir())
    # Without the one that listed them; the limit is on the number, and there are gaps.
    used = {int(each.name) for each in listed if each.is_symlink()}
    free = (number for number in range(soft) if number not in used)
    limit = next(islice(free, left, None))
    resource.setrlimit(resource.RLIMIT_NOFILE, (limit, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def unread(fd: int) -> int:
    """Bytes that wait in a socket."""
    number = array.array("i", [0])
    fcntl.ioctl(fd, termios.FIONREAD, number)
    return number[0]
