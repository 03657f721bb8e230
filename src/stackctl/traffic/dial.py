"""Client connections begun, with little Python: this is done for every one of them."""

from __future__ import annotations

import ctypes
import errno
import os
import socket
from collections.abc import Sequence
from typing import NoReturn

_BIND_ADDRESS_NO_PORT = 24
Socket = socket.SocketType
# Looked up once, and as plain numbers: an enumeration's are dear for every connection.
_FAMILY, _KIND = int(socket.AF_INET), int(socket.SOCK_STREAM) | int(socket.SOCK_NONBLOCK)
_SOCKET, _LINGER, _IP = int(socket.SOL_SOCKET), int(socket.SO_LINGER), int(socket.IPPROTO_IP)
_IN_PROGRESS = errno.EINPROGRESS
# By way of ctypes: a socket's own setsockopt() makes two exceptions, and forgets them, for a value
# that is no number. That was a fifth of all instructions of this process for a connection.
_SET_OPTION = ctypes.PyDLL(None, use_errno=True).setsockopt
# Closed by reset: nothing stays behind in TIME-WAIT, also where the process is killed.
_ON_FOR_SECONDS = (ctypes.c_int * 2)(1, 0)
_RESET = ctypes.byref(_ON_FOR_SECONDS)
_RESET_SIZE = ctypes.sizeof(_ON_FOR_SECONDS)


class Dialer:
    """Begins connections.

    Args:
        target: address and port.
        sources: addresses taken in turn by number; empty: the kernel's choice.
    """

    def __init__(self, target: tuple[str, int], sources: Sequence[str]) -> None:
        self._target = target
        self._sources = [(address, 0) for address in sources]

    def sockets(self, first: int, count: int) -> list[Socket]:
        """Sockets for the connections numbered from `first`, bound to their sources.

        One step for all of them, then the next: what the kernel did for a connection has driven
        Python's own code out of the processor's caches, and between two steps for the same socket
        that code took twice as long.

        Raises:
            OSError: of one at least; then none is open.
        """
        made: list[Socket] = []
        try:
            for _ in range(count):
                # The C class: no Python runs in making one.
                made.append(Socket(_FAMILY, _KIND))
            for sock in made:
                if _SET_OPTION(sock.fileno(), _SOCKET, _LINGER, _RESET, _RESET_SIZE):
                    _refuse(ctypes.get_errno())
            if sources := self._sources:
                for sock in made:
                    sock.setsockopt(_IP, _BIND_ADDRESS_NO_PORT, 1)
                for number, sock in enumerate(made, first):
                    sock.bind(sources[number % len(sources)])
        except OSError:
            for sock in made:
                sock.close()
            raise
        return made

    def connect(self, sock: Socket) -> int:
        """Begin one; the descriptor of its socket, which does not block.

        Raises:
            OSError: connect() has failed already; the socket is closed.
        """
        problem = sock.connect_ex(self._target)
        if problem and problem != _IN_PROGRESS:
            sock.close()
            _refuse(problem)
        return sock.detach()


def _refuse(number: int) -> NoReturn:
    raise OSError(number, os.strerror(number))
