"""Run mtprotoproxy of PyPI on loopback: CONFIG DATACENTRE_PORT.

Its code is as it was published. Only its tables of data centres are replaced, and its main, which
hands asyncio arguments that went away with Python 3.10; and a name that asyncio.streams no longer
has is put back there.
"""

from __future__ import annotations

import asyncio
import importlib.util
import sys
from importlib.metadata import files
from pathlib import Path
from typing import Any


def load(arguments: list[str]) -> Any:
    """The module that the distribution installs as a script; it reads sys.argv when imported."""
    (script,) = [f for f in files("mtprotoproxy") or () if f.name == "mtprotoproxy.py"]
    sys.argv = [str(script), *arguments]
    spec = importlib.util.spec_from_file_location("mtprotoproxy", Path(str(script.locate())))
    asyncio.streams.IncompleteReadError = asyncio.IncompleteReadError  # type: ignore[attr-defined]
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["mtprotoproxy"] = module
    spec.loader.exec_module(module)
    return module


async def serve(proxy: Any) -> None:
    """Accept clients until killed; says on stdout when it listens."""
    server = await asyncio.start_server(
        proxy.handle_client_wrapper,
        "127.0.0.1",
        proxy.config.PORT,
        limit=proxy.get_to_tg_bufsize(),
    )
    print("listening", flush=True)
    async with server:
        await server.serve_forever()


def main() -> None:
    """Run it."""
    config, port = sys.argv[1:]
    proxy = load([config])
    proxy.TG_DATACENTERS_V4 = ["127.0.0.1"] * 5
    proxy.TG_DATACENTER_PORT = int(port)
    proxy.init_config()
    proxy.my_ip_info = {"ipv4": "127.0.0.1", "ipv6": None}
    proxy.init_stats()
    asyncio.run(serve(proxy))


if __name__ == "__main__":
    main()
