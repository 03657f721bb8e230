"""The probe's request as one argument."""

from __future__ import annotations

import base64
import json
import zlib

from stackctl.engine.probe import packed
from stackctl.observe.request import ProbeClients, ProbeHaproxy, ProbeReplica, probe_request

LONGEST_ARGUMENT = 128 * 1024
"""The kernel's MAX_ARG_STRLEN: 32 pages."""


def test_the_largest_stack_fits_into_one_argument() -> None:
    inside = ("127.250.250.210", 9091), ("127.250.250.210", 9090)
    request = probe_request(
        ProbeHaproxy(4194304, "a" * 64, 65535),
        [
            ProbeReplica(f"telemt-{n}", 4194304 - n, f"{n:064x}", *inside, "/x")
            for n in range(1, 201)
        ],
        ProbeClients(("10.250.250.1", 65535), ("127.0.0.1", 65535)),
    )
    argument = packed(request)
    assert len(argument) < LONGEST_ARGUMENT
    assert argument.startswith("z:")
    assert json.loads(zlib.decompress(base64.b64decode(argument[2:]))) == request
