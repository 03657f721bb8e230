"""One client connection begun, with little Python: this is done for every one of them."""

from __future__ import annotations

import ctypes
import errno
import os
import socket
from collections.abc import Sequence

_BIND_ADDRESS_NO_PORT = 24
# Looked up once, and as plain numbers: an enumeration's are dear for every connection.
_NEW = socket.SocketType
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

    def dial(self, number: int) -> int:
        """Begin one; the descriptor of its socket, which does not block.

        Raises:
            OSError: there is no socket for it, or connect() has failed already.
        """
        # The C class: no Python runs in making one.
        sock = _NEW(_FAMILY, _KIND)
        try:
            if _SET_OPTION(sock.fileno(), _SOCKET, _LINGER, _RESET, _RESET_SIZE):
                _refuse(ctypes.get_errno())
            if sources := self._sources:
                sock.setsockopt(_IP, _BIND_ADDRESS_NO_PORT, 1)
                sock.bind(sources[number % len(sources)])
            problem = sock.connect_ex(self._target)
            if problem and problem != _IN_PROGRESS:
                _refuse(problem)
        except OSError:
            sock.close()
            raise
        return sock.detach()


def _refuse(number: int) -> None:
    raise OSError(number, os.strerror(number))
