"""One process's connections: `select.epoll` on bare descriptors, with state in arrays."""

from __future__ import annotations

import os
import select
import time
from collections.abc import Callable, Sequence

from stackctl.traffic.dial import Dialer, Socket
from stackctl.traffic.errors import cause_of
from stackctl.traffic.model import LATE_MICROSECONDS, Tally
from stackctl.traffic.pace import BATCH, Pace
from stackctl.traffic.slots import ASKED, ASKING, CONNECTING, FREE, HELD, Slots
from stackctl.traffic.talk import DONE, Talk

_CHUNK = 8192
_ANSWERS = 448
"""Bytes read of a first answer in one read: few enough that Python needs no malloc()."""
_IN = select.EPOLLIN
_ANSWER = _IN | select.EPOLLRDHUP | select.EPOLLET
_EVENTS = _ANSWER | select.EPOLLOUT
_ENDED = select.EPOLLRDHUP | select.EPOLLHUP | select.EPOLLERR
_HEARD = _ENDED | _IN
_SWEEP = 0.25
_LOOK = 0.05
TRIP_SECONDS = 5.0
"""A round trip without an answer after this time has failed."""


class Connections:
    """One process's connections, from the first connect() to the last close().

    Args:
        target: address and port.
        sources: addresses taken in turn by number; empty: the kernel's choice.
        first: number of the first connection.
        count: how many connections.
        slots: the arrays.
        talk: what the clients send, and how they read answers.

    Attributes:
        tally: the results so far; `held` is kept up to date.
        started: connect() calls made.
        under_way: how many of these are neither open nor failed yet.
    """

    def __init__(
        self,
        target: tuple[str, int],
        sources: Sequence[str],
        first: int,
        count: int,
        slots: Slots,
        talk: Talk,
    ) -> None:
        self.tally = Tally()
        self.started = 0
        self.under_way = 0
        self._dialer = Dialer(target, sources)
        self._first, self._count = first, count
        self._slots, self._talk = slots, talk
        self._at_once = talk.at_once
        self._size = len(slots.state)
        self._poll = select.epoll()
        self._unsent: dict[int, bytes] = {}
        self._watched: dict[int, Callable[[], None]] = {}
        self._swept = 0.0

    def watch(self, fd: int, heed: Callable[[], None]) -> None:
        """Call `heed` whenever this descriptor can be read."""
        self._watched[fd] = heed
        self._poll.register(fd, select.EPOLLIN)

    def open(self, pace: Pace, deadline: float, each_turn: Callable[[], None]) -> None:
        """Start all connections, and wait until each is open or has failed.

        Args:
            pace: how fast they are started.
            deadline: time.monotonic() value after which a connection that is not open has failed.
            each_turn: called now and then.
        """
        began = now = time.monotonic()
        looked = 0.0
        while self.started < self._count or self.under_way:
            left = self._count - self.started
            due = min(left, pace.due(now - began, self.started, self.under_way)) if left else 0
            if due > 0:
                self._start(due)
            if left > due > 0 and (pace.burst or pace.rate):
                self.turn(0)
            else:
                self.turn(0.002 if pace.rate and left else 0.05)
            now = time.monotonic()
            if now >= deadline:
                self._give_up()
            elif now - self._swept > _SWEEP:
                self._sweep(now, pace.timeout)
            if now - looked > _LOOK:
                looked = now
                each_turn()
        each_turn()
        self.tally.opening = time.monotonic() - began
        self._note_highest()

    def hold(self, seconds: float, trips: bool, each_turn: Callable[[], None]) -> None:
        """Hold what is open; with `trips`, each makes a round trip at least every ten seconds.

        It ends after that many seconds, plus a moment for answers that are under way.
        """
        began = now = time.monotonic()
        end = began + seconds
        period = min(10.0, seconds / 2) or 1.0
        made, position = 0, 0
        while now < end and self.tally.held:
            due = int((now - began) / period * self.tally.held) - made if trips else 0
            for _ in range(min(due, BATCH)):
                made += 1
                position = self._trip(position)
            self.turn(min(0.002 if trips else 0.1, end - now))
            now = time.monotonic()
            if now - self._swept > _SWEEP:
                self._sweep(now, TRIP_SECONDS)
            each_turn()
        while trips and self._slots.state.count(ASKING) and now < end + min(TRIP_SECONDS, 1.0):
            self.turn(0.05)
            now = time.monotonic()
        for fd in self._in(ASKING):
            self._unanswered(fd)

    def turn(self, timeout: float) -> None:
        """Wait at most that many seconds for events, and handle them."""
        states, unsent = self._slots.state, self._unsent
        events = self._poll.poll(timeout, 512)
        if self._at_once and self.under_way:
            events = self._first_answers(events)
        for fd, event in events:
            if unsent and fd in unsent:
                self._send(fd, unsent.pop(fd))
            state = states[fd]
            if state == CONNECTING:
                # A failed connect() shows in the first write.
                states[fd] = ASKED
                self._send(fd, self._talk.opening(fd))
                state = states[fd]
            elif state == FREE:
                if fd in self._watched:
                    self._watched[fd]()
                continue
            if event & _HEARD and state != FREE:
                self._read(fd, event & _ENDED)

    def close(self) -> None:
        """Close every connection."""
        for fd in range(self._size):
            if self._slots.state[fd] != FREE:
                self._drop(fd)
        self._poll.close()

    def _start(self, due: int) -> None:
        """Start that many more connections."""
        first = self._first + self.started
        self.started += due
        try:
            sockets = self._dialer.sockets(first, due)
        except OSError:
            # One or all of them failed: each is started alone and fails for itself.
            for number in range(first, first + due):
                self._start_alone(number)
        else:
            self._begin(first, sockets)

    def _start_alone(self, number: int) -> None:
        try:
            sockets = self._dialer.sockets(number, 1)
        except OSError as error:
            self._failed(cause_of(error.errno or 0))
        else:
            self._begin(number, sockets)

    def _begin(self, first: int, sockets: Sequence[Socket]) -> None:
        """Connect these sockets; their numbers start at `first`.

        First bytes that are the same for all are written at once, because on loopback the kernel
        has connected already. Without EPOLLOUT a connection wakes this process once, with its
        answer.
        """
        # Names are looked up once and few methods are called: this runs for every connection.
        since, states, numbers = self._slots.since, self._slots.state, self._slots.number
        connect, register, write = self._dialer.connect, self._poll.register, os.write
        clock, at_once, size = time.monotonic_ns, self._at_once, self._size
        for number, sock in enumerate(sockets, first):
            now = clock()
            try:
                fd = connect(sock)
            except OSError as error:
                self._failed(cause_of(error.errno or 0))
                continue
            if fd >= size:
                os.close(fd)
                self._failed("no-descriptor")
                continue
            since[fd] = now
            states[fd] = CONNECTING
            if numbers:
                numbers[fd] = number
            self.under_way += 1
            if not at_once:
                register(fd, _EVENTS)
                continue
            try:
                sent = write(fd, at_once)
            except BlockingIOError:
                # connect() is still under way.
                register(fd, _EVENTS)
                continue
            except OSError as error:
                self._over(fd, cause_of(error.errno or 0))
                continue
            states[fd] = ASKED
            if sent < len(at_once):
                self._unsent[fd] = at_once[sent:]
                register(fd, _EVENTS)
            else:
                register(fd, _ANSWER)

    def _first_answers(self, events: list[tuple[int, int]]) -> list[tuple[int, int]]:
        """Handle first answers, which most events of many connections are, without a call for each.

        It is for a talk with `at_once` only, where any byte opens a connection. It returns the
        other events.
        """
        since, states, unsent, read = self._slots.since, self._slots.state, self._unsent, os.read
        now = time.monotonic_ns()
        others, took, unfinished = [], [], []
        for each in events:
            fd, event = each
            if event != _IN or states[fd] != ASKED or fd in unsent:
                others.append(each)
                continue
            try:
                data = read(fd, _ANSWERS)
            except OSError as error:
                self._unread(fd, error)
                continue
            if not data:
                self._over(fd, "closed")
                continue
            states[fd] = HELD
            took.append((now - since[fd]) // 1000)
            if len(data) == _ANSWERS:
                unfinished.append(fd)
        if took:
            self._opened(took)
        # After they count as held, because the rest may be their end.
        for fd in unfinished:
            self._read(fd, 0)
        return others

    def _send(self, fd: int, data: bytes) -> None:
        try:
            sent = os.write(fd, data)
        except BlockingIOError:
            sent = 0
        except OSError as error:
            self._over(fd, cause_of(error.errno or 0))
            return
        if sent < len(data):
            self._unsent[fd] = data[sent:]
            self._poll.modify(fd, _EVENTS)

    def _read(self, fd: int, ended: int) -> None:
        while True:
            try:
                data = os.read(fd, _CHUNK)
            except OSError as error:
                self._unread(fd, error)
                return
            if not data:
                self._over(fd, "closed")
                return
            self._heard(fd, data)
            if self._slots.state[fd] == FREE or (len(data) < _CHUNK and not ended):
                return

    def _unread(self, fd: int, error: OSError) -> None:
        if not isinstance(error, BlockingIOError):
            self._over(fd, cause_of(error.errno or 0))

    def _heard(self, fd: int, data: bytes) -> None:
        state = self._slots.state[fd]
        opening = state == ASKED
        heard = self._talk.opened(fd, data) if opening else self._talk.answered(fd, data)
        if heard is not DONE:
            if heard.failure:
                self._over(fd, heard.failure)
                return
            if heard.reply:
                self._send(fd, heard.reply)
            if not heard.done:
                return
        if state == HELD:
            return
        took = (time.monotonic_ns() - self._slots.since[fd]) // 1000
        self._slots.state[fd] = HELD
        if opening:
            self._opened([took])
        else:
            self.tally.trips.record([took])

    def _opened(self, took: list[int]) -> None:
        """Count connections as open; `took`: microseconds of each since its connect()."""
        tally, number = self.tally, len(took)
        tally.connect.record(took)
        tally.opened += number
        tally.held += number
        if max(took) > LATE_MICROSECONDS:
            tally.late += sum(one > LATE_MICROSECONDS for one in took)
        self.under_way -= number

    def _trip(self, position: int) -> int:
        """Start a round trip on the next idle connection; return where to look next."""
        states = self._slots.state
        fd = states.find(HELD, position)
        if fd < 0:
            fd = states.find(HELD)
        if fd < 0:
            return 0
        states[fd] = ASKING
        self._slots.since[fd] = time.monotonic_ns()
        self._send(fd, self._talk.trip(fd))
        return fd + 1

    def _in(self, *states: int) -> list[int]:
        # This runs four times a second, with few of many under way, so it searches the byte array.
        kept, found = self._slots.state, list[int]()
        for state in states:
            fd = kept.find(state)
            while fd >= 0:
                found.append(fd)
                fd = kept.find(state, fd + 1)
        return found

    def _sweep(self, now: float, timeout: float) -> None:
        """Fail connections and round trips that have waited too long."""
        self._swept = now
        oldest = int((now - timeout) * 1_000_000_000)
        states = self._slots.state
        for fd in self._in(CONNECTING, ASKED, ASKING):
            if self._slots.since[fd] > oldest:
                continue
            if states[fd] == ASKING:
                self._unanswered(fd)
            else:
                self._too_long(fd)

    def _too_long(self, fd: int) -> None:
        connecting = self._slots.state[fd] == CONNECTING
        self._over(fd, "connect-timeout" if connecting else "answer-timeout")

    def _unanswered(self, fd: int) -> None:
        self._slots.state[fd] = HELD
        failed = self.tally.trips_failed
        failed["answer-timeout"] = failed.get("answer-timeout", 0) + 1

    def _give_up(self) -> None:
        """At the deadline, fail every connection that is not open."""
        for fd in self._in(CONNECTING, ASKED):
            self._too_long(fd)
        if self.started < self._count:
            self._failed("deadline", self._count - self.started)
            self.started = self._count

    def _over(self, fd: int, cause: str) -> None:
        """Count and close a connection that has ended, or whose answer was wrong."""
        tally = self.tally
        if self._slots.state[fd] in {CONNECTING, ASKED}:
            self.under_way -= 1
            self._failed(self._talk.ended(fd, cause))
        else:
            if self._slots.state[fd] == ASKING:
                tally.trips_failed[cause] = tally.trips_failed.get(cause, 0) + 1
            self._note_highest()
            tally.held -= 1
            tally.lost[cause] = tally.lost.get(cause, 0) + 1
        self._drop(fd)

    def _note_highest(self) -> None:
        """Update the highest number held: before one is lost, and after the opening."""
        self.tally.held_highest = max(self.tally.held_highest, self.tally.held)

    def _failed(self, cause: str, number: int = 1) -> None:
        self.tally.failed[cause] = self.tally.failed.get(cause, 0) + number

    def _drop(self, fd: int) -> None:
        self._slots.state[fd] = FREE
        self._unsent.pop(fd, None)
        self._talk.forget(fd)
        os.close(fd)
