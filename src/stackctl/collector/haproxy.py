"""HAProxy's admin socket, reached through its worker's root."""

from __future__ import annotations

import re
import socket
import threading
import time
from collections.abc import Callable, Iterator
from typing import NamedTuple

from stackctl.collector import process
from stackctl.collector.answer import HaproxyAnswers, Reading
from stackctl.collector.reading import Deadline, failure

# Seconds without a byte of the answer. A long answer may take longer: with 250,000 connections an
# emulated machine took 21 s for the list of them.
_SILENCE = 8.0
_MOST = 8 << 20
# One list at a time: two at once take as long as one after the other, and then both are late.
_ONE_LIST = threading.Lock()
_SESSION = re.compile(
    rb"^(0x[0-9a-f]+): proto=\S+ src=(\S+) fe=(\S*) be=(\S*) srv=(\S*) .*?\bage=(\S+) "
    rb".*?\bfd=(-?\d+).*?\bfd=(-?\d+)"
)
_YOUNG = re.compile(r"(\d+)s")
_ESTABLISHED = re.compile(r"\bscb=\[8,")
_HELD = re.compile(r"^CurrConns: (\d+)$", re.MULTILINE)
_NO_SERVER = frozenset({"", "<none>", "<NONE>"})
looks_young = re.compile(rb" age=\ds ").search
"""Whether a line shows a session younger than ten seconds, without parsing it."""


class Session(NamedTuple):
    """One line of `show sess`."""

    id: str
    source: str
    frontend: str
    backend: str
    server: str
    age: str
    client_fd: int
    server_fd: int
    line: str

    def younger(self, seconds: float) -> bool:
        """Whether it began at most this long ago (ages are printed in whole seconds)."""
        match = _YOUNG.fullmatch(self.age)
        return match is not None and int(match[1]) <= seconds + 1

    @property
    def connected(self) -> str:
        """The server that the client has been connected to; "" before that.

        HAProxy names a server as soon as it has chosen it, and chooses again if that one refuses.
        """
        there = self.server not in _NO_SERVER and _ESTABLISHED.search(self.line)
        return self.server if there else ""


def source_of(line: bytes) -> bytes:
    """The client's address:port in a line of `show sess`, without parsing the rest."""
    words = line.split(b" ", 3)
    return words[2][4:].removeprefix(b"::ffff:") if len(words) > 3 else b""


def parse_session(line: bytes) -> Session | None:
    """A line of `show sess`, parsed; None where it has another form."""
    match = _SESSION.match(line)
    if not match:
        return None
    words = [group.decode(errors="replace") for group in match.groups()]
    number, source, frontend, backend, server, age, client_fd, server_fd = words
    return Session(
        id=number,
        source=source,
        frontend=frontend,
        backend=backend,
        server=server,
        age=age,
        client_fd=int(client_fd),
        server_fd=int(server_fd),
        line=line.decode(errors="replace"),
    )


class Admin:
    """The admin socket of one worker; each command is a connection of its own."""

    def __init__(self, worker: int, path: str, deadline: Deadline) -> None:
        self._worker = worker
        self._path = path
        self._deadline = deadline

    def ask(self, command: str) -> str:
        """The answer to one command; raises OSError, or ValueError above 8 MiB."""
        parts: list[bytes] = []
        size = 0
        for part in self._stream(command):
            parts.append(part)
            size += len(part)
            if size > _MOST:
                raise ValueError(f"`{command}` answers with more than {_MOST} bytes")
        return b"".join(parts).decode(errors="replace")

    def reading(self, command: str) -> Reading[str]:
        """The answer as a reading."""
        try:
            return Reading(self.ask(command))
        except (OSError, ValueError) as problem:
            return failure(problem, self._path)

    def sessions(
        self, worth: Callable[[bytes], object], keep: Callable[[Session], bool]
    ) -> list[Session]:
        """Sessions that `keep` accepts, among the lines that look `worth` parsing.

        The list is read line by line and only wanted sessions are kept: a full HAProxy answers with
        60 MB, and `show sess all` with six times that.
        """
        kept: list[Session] = []
        rest = b""
        with _ONE_LIST:
            for part in self._stream("show sess"):
                *lines, rest = (rest + part).split(b"\n")
                for line in lines:
                    session = parse_session(line) if worth(line) else None
                    if session and keep(session):
                        kept.append(session)
        return kept

    def _stream(self, command: str) -> Iterator[bytes]:
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as sock:
            sock.settimeout(self._deadline.left(_SILENCE))
            sock.connect(process.inside(self._worker, self._path))
            sock.sendall(command.encode() + b"\n")
            while part := sock.recv(1 << 18):
                if time.monotonic() > self._deadline.end:
                    raise TimeoutError
                yield part


def answers(admin: Admin) -> HaproxyAnswers:
    """HAProxy's answers to `show info`, `show stat` and `show pools`."""
    return HaproxyAnswers(
        info=admin.reading("show info"),
        stat=admin.reading("show stat"),
        pools=admin.reading("show pools"),
    )


def held(info: str) -> int:
    """How many connections HAProxy has, from `show info`; 0 where the line is missing."""
    match = _HELD.search(info)
    return int(match[1]) if match else 0


def servers(stat: str, backend: str) -> list[str]:
    """Servers of the backend that get connections, from `show stat`."""
    found: list[str] = []
    for line in stat.splitlines():
        fields = line.split(",")
        if len(fields) <= 17 or fields[0] != backend or fields[1] in ("BACKEND", "FRONTEND"):
            continue
        # "UP", "UP 1/3" and "no check"; not DOWN, MAINT, DRAIN, NOLB.
        if fields[17].startswith(("UP", "no check")):
            found.append(fields[1])
    return found
