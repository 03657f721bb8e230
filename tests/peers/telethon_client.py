"""Telethon's own MTProxy connection, up to resPQ: HOST PORT SECRET [FRAMING] → one JSON object.

SECRET is a link's: 32 hex digits (FRAMING abridged, the default, or intermediate), or dd and 32.
A secret that begins with ee is used as dd: Telethon speaks no fake TLS. DC is data centre 2.
The exit status is 0 with an answer, 1 without.
"""

from __future__ import annotations

import asyncio
import json
import logging
import os
import sys
import time
from collections import defaultdict
from typing import Any

from telethon.network.connection import (
    ConnectionTcpMTProxyAbridged,
    ConnectionTcpMTProxyIntermediate,
    ConnectionTcpMTProxyRandomizedIntermediate,
)
from telethon.network.mtprotoplainsender import MTProtoPlainSender
from telethon.tl.functions import ReqPqMultiRequest

CONNECTIONS = {
    "abridged": ConnectionTcpMTProxyAbridged,
    "intermediate": ConnectionTcpMTProxyIntermediate,
    "padded": ConnectionTcpMTProxyRandomizedIntermediate,
}
TIMEOUT = 15
"""Seconds; two of them are Telethon's own wait after each connect."""


async def ask(host: str, port: int, secret: str, framing: str) -> dict[str, Any]:
    """What came back through the proxy: ok, and resPQ's fields or the error."""
    loggers: Any = defaultdict(lambda: logging.getLogger("telethon"))
    proxy = (host, port, secret)
    connection = CONNECTIONS[framing]("0.0.0.0", 443, 2, loggers=loggers, proxy=proxy)
    nonce = int.from_bytes(os.urandom(16), "big", signed=True)
    start = time.monotonic()
    try:
        async with asyncio.timeout(TIMEOUT):
            await connection.connect(timeout=TIMEOUT)
            sender = MTProtoPlainSender(connection, loggers=loggers)
            answer = await sender.send(ReqPqMultiRequest(nonce))
    except Exception as error:
        return {"ok": False, "error": f"{type(error).__name__}: {error}"}
    finally:
        await connection.disconnect()
    return {
        "ok": type(answer).__name__ == "ResPQ" and answer.nonce == nonce,
        "answer": type(answer).__name__,
        "same_nonce": answer.nonce == nonce,
        "pq": answer.pq.hex(),
        "fingerprints": len(answer.server_public_key_fingerprints),
        "ms": round((time.monotonic() - start) * 1000),
    }


def main() -> None:
    """Ask, print, exit."""
    host, port, secret, *rest = sys.argv[1:]
    padded = len(secret) > 32
    framing = rest[0] if rest else "padded" if padded else "abridged"
    found = asyncio.run(ask(host, int(port), secret, framing))
    print(json.dumps(found))
    sys.exit(not found["ok"])


if __name__ == "__main__":
    main()
