"""Peers that others wrote, each a process of its own on loopback."""

from __future__ import annotations

import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any

import pytest

from .datacentre import DataCentre, free_port
from .site import Site
from .telemt import DOMAIN, KEY, argv, config

HERE = Path(__file__).parent


@contextmanager
def running(command: list[str], port: int, folder: Path) -> Iterator[None]:
    """A process that listens on a port of loopback; it is ended at the end."""
    log = folder / "log"
    with (
        log.open("wb") as out,
        subprocess.Popen(command, stdout=out, stderr=subprocess.STDOUT, cwd=folder) as process,
    ):
        try:
            deadline = time.monotonic() + 60
            while True:
                try:
                    socket.create_connection(("127.0.0.1", port), 1).close()
                    break
                except OSError:
                    assert process.poll() is None, log.read_text()
                    assert time.monotonic() < deadline, log.read_text()
                    time.sleep(0.05)
            yield
        finally:
            process.terminate()
            process.wait(30)


@pytest.fixture
def datacentre() -> Iterator[DataCentre]:
    """A data centre of our own; nothing is sent elsewhere."""
    with DataCentre() as server:
        yield server


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    """The fallback site."""
    with Site(tmp_path, DOMAIN) as server:
        yield server


@pytest.fixture
def mtprotoproxy(
    datacentre: DataCentre, site: Site, tmp_path: Path
) -> Callable[..., AbstractContextManager[int]]:
    """Starts mtprotoproxy with these settings more; gives its port."""

    @contextmanager
    def start(**more: Any) -> Iterator[int]:
        port = free_port()
        settings = {
            "PORT": port,
            "USERS": {"alice": KEY.hex()},
            "USE_MIDDLE_PROXY": False,
            "TLS_DOMAIN": DOMAIN,
            "MASK": True,
            "MASK_HOST": "127.0.0.1",
            "MASK_PORT": site.port,
            **more,
        }
        path = tmp_path / "config.py"
        path.write_text("".join(f"{key} = {value!r}\n" for key, value in settings.items()))
        runner = str(HERE / "run_mtprotoproxy.py")
        command = [sys.executable, runner, str(path), str(datacentre.port)]
        with running(command, port, tmp_path):
            yield port

    return start


@pytest.fixture
def telemt(
    datacentre: DataCentre, site: Site, tmp_path: Path
) -> Callable[..., AbstractContextManager[int]]:
    """Starts Telemt (TELEMT_BINARY, or the double) with tables changed; gives its port."""

    @contextmanager
    def start(**changes: Any) -> Iterator[int]:
        port = free_port()
        path = config(tmp_path, port, datacentre.port, site.port, **changes)
        with running(argv(path), port, tmp_path):
            yield port

    return start
