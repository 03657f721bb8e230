"""Start client connections with little Python, because it runs for every one of them."""

from __future__ import annotations

import ctypes
import errno
import os
import socket
from collections.abc import Sequence
from typing import NoReturn

_BIND_ADDRESS_NO_PORT = 24
Socket = socket.SocketType
# Plain numbers, looked up once: members of an enumeration are slow for every connection.
_FAMILY, _KIND = int(socket.AF_INET), int(socket.SOCK_STREAM) | int(socket.SOCK_NONBLOCK)
_SOCKET, _LINGER, _IP = int(socket.SOL_SOCKET), int(socket.SO_LINGER), int(socket.IPPROTO_IP)
_IN_PROGRESS = errno.EINPROGRESS
# Through ctypes: a socket's own setsockopt() raises and catches two exceptions for a value that is
# not a number. That was a fifth of all instructions of this process for a connection.
_SET_OPTION = ctypes.PyDLL(None, use_errno=True).setsockopt
# Closing sends a reset, so nothing stays in TIME-WAIT, even when the process is killed.
_ON_FOR_SECONDS = (ctypes.c_int * 2)(1, 0)
_RESET = ctypes.byref(_ON_FOR_SECONDS)
_RESET_SIZE = ctypes.sizeof(_ON_FOR_SECONDS)


class Dialer:
    """Starts connections.

    Args:
        target: address and port.
        sources: addresses taken in turn by number; empty: the kernel's choice.
    """

    def __init__(self, target: tuple[str, int], sources: Sequence[str]) -> None:
        self._target = target
        self._sources = [(address, 0) for address in sources]

    def sockets(self, first: int, count: int) -> list[Socket]:
        """Sockets for the connections numbered from `first`, bound to their sources.

        Each step runs for all sockets before the next step. The kernel's work for a connection
        evicts Python's code from the processor's caches: with all steps for one socket in a row
        that code took twice as long.

        Raises:
            OSError: at least one failed; then none is open.
        """
        made: list[Socket] = []
        try:
            for _ in range(count):
                # The C class: making one runs no Python.
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
        """Start connecting; return the socket's descriptor, which does not block.

        Raises:
            OSError: connect() failed at once; the socket is closed.
        """
        problem = sock.connect_ex(self._target)
        if problem and problem != _IN_PROGRESS:
            sock.close()
            _refuse(problem)
        return sock.detach()


def _refuse(number: int) -> NoReturn:
    raise OSError(number, os.strerror(number))
