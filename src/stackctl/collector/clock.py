"""The kernel's clock: what adjtimex(2) says of it, and which programs could keep it right."""

from __future__ import annotations

import os
import struct
from collections.abc import Iterable

from stackctl.collector.procs import Process
from stackctl.collector.reading import Reading, value

_KEEPERS = frozenset({"chronyd", "ntpd", "ntpd-rs", "openntpd", "systemd-timesyn", "ptp4l"})
"""Names as /proc has them: 15 characters."""

_TIMEX = struct.Struct("@Illlli")
_ROOM = 512


def readings(processes: Iterable[Process]) -> dict[str, Reading]:
    """By name: "kernel", see `kernel`; "keepers": names of the time daemons that run."""
    names = sorted({process.comm for process in processes} & _KEEPERS)
    return {"kernel": value(kernel), "keepers": {"value": names}}


def kernel() -> dict[str, int]:
    """state, status (STA_ bits), and offset, maxerror, esterror in microseconds.

    Nothing is set: that is what mode 0 means, and it needs no capability.

    Raises:
        OSError: the call was refused.
    """
    import ctypes

    buffer = ctypes.create_string_buffer(_ROOM)
    state = ctypes.CDLL(None, use_errno=True).adjtimex(buffer)
    if state < 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
    _, offset, _, maxerror, esterror, status = _TIMEX.unpack_from(buffer)
    return {
        "state": state,
        "status": status,
        "offset": offset,
        "maxerror": maxerror,
        "esterror": esterror,
    }
