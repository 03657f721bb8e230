"""Telethon's own client code gets through a proxy, as it will through the whole stack."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

from .datacentre import PQ, DataCentre
from .telemt import KEY

Start = Callable[..., AbstractContextManager[int]]
CLIENT = str(Path(__file__).parent / "telethon_client.py")


def asked(*ways: tuple[int, str, str]) -> list[tuple[int, dict[str, Any]]]:
    """Exit status and answer of each (port, secret, framing), all at once."""
    clients = [
        subprocess.Popen(
            [sys.executable, CLIENT, "127.0.0.1", str(port), secret, framing],
            stdout=subprocess.PIPE,
            text=True,
        )
        for port, secret, framing in ways
    ]
    outputs = [client.communicate(timeout=60)[0] for client in clients]
    return [(c.returncode, json.loads(out)) for c, out in zip(clients, outputs, strict=True)]


def check_every_framing(port: int, datacentre: DataCentre) -> None:
    key = KEY.hex()
    *good, bad = asked(
        (port, "dd" + key, "padded"),
        (port, key, "abridged"),
        (port, key, "intermediate"),
        (port, "dd" + "00" * 16, "padded"),
    )
    for status, found in good:
        assert status == 0, found
        assert found["answer"] == "ResPQ"
        assert found["same_nonce"]
        assert found["pq"] == PQ.to_bytes(8, "big").hex()
    assert sorted(tag for tag, _ in datacentre.seen) == ["dd", "ee", "ef"]
    assert bad[0] == 1
    assert "error" in bad[1]


def test_through_mtprotoproxy(mtprotoproxy: Start, datacentre: DataCentre) -> None:
    with mtprotoproxy() as port:
        check_every_framing(port, datacentre)
