"""Stacks for the tests: each module its own, taken away whatever happens."""

from __future__ import annotations

import os
import secrets
import signal
import socket
from collections.abc import Callable, Iterator
from pathlib import Path

import docker
import pytest
from docker.types import Ulimit

from stackctl import __version__
from stackctl.engine import Engine
from stackctl.operate.sources import ensure
from stackctl.plan import Sources
from stackctl.spec import load

from .lab import Lab, stackctl

# Read when testcontainers is imported. Its reaper is an image of its own that may not be had, and
# every stack is taken away by its label.
os.environ["TESTCONTAINERS_RYUK_DISABLED"] = "true"

REAL = os.environ.get("TELEMT_BINARY", "")
"""The operator's Telemt, where the tests are to run against it."""

_SOURCE = f"binary, binary: {REAL}" if REAL else "double"
TELEMT = f"{{datacentre: lab, source: {_SOURCE}}}"
"""For a stack that is rendered without asking the engine, which images there are must be said."""

MakeLab = Callable[..., Lab]

# A shell starts what runs in its background with SIGINT ignored, and so would be every command the
# tests press Ctrl-C on.
signal.signal(signal.SIGINT, signal.default_int_handler)

HAPROXY_IMAGE = f"stackctl/haproxy:{__version__}"


def pytest_report_header() -> str:
    """What a run was against belongs in its report; no test asks."""
    image = os.environ.get("TELEMT_IMAGE", "")
    return f"telemt: {REAL or image or 'the official image if it can be pulled, else the double'}"


@pytest.fixture(scope="session", autouse=True)
def _engine() -> None:
    """A missing engine is a failure, never a skip."""
    docker.from_env().ping()


def free_port() -> int:
    """A port outside every local range, free now."""
    while True:
        port = 20000 + secrets.randbelow(9000)
        with socket.socket() as probe:
            try:
                probe.bind(("", port))
            except OSError:
                continue
            return port


@pytest.fixture(scope="module")
def make_lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[MakeLab]:
    """Writes stack.yaml and secrets; what is started from it is removed at the end."""
    made: list[Lab] = []

    def make(name: str = "", **keys: object) -> Lab:
        name = name or f"t{secrets.token_hex(4)}"
        folder = tmp_path_factory.mktemp(name)
        port = free_port()
        # The whole path runs without the internet, whichever Telemt it is.
        telemt = "{datacentre: lab}"
        values: dict[str, object] = {"connections": 2000, "replicas": 2, "listen": port}
        values |= {"telemt": telemt} | keys
        lines = [f"name: {name}", *(f"{key}: {value}" for key, value in values.items())]
        (folder / "stack.yaml").write_text("\n".join(lines) + "\n")
        done = stackctl("init", "--secrets-only", cwd=folder)
        assert done.returncode == 0, done.stderr
        lab = Lab(folder, name, port)
        made.append(lab)
        return lab

    yield make
    for lab in made:
        done = lab.run("down", "--volumes")
        assert done.returncode == 0, done.stderr
        assert leftovers(lab.name) == []


def leftovers(name: str) -> list[str]:
    """Everything on the engine that carries a stack's label."""
    client = docker.from_env()
    by_label = {"label": f"io.stackctl.stack={name}"}
    return [
        *(
            f"container {c.name}"
            for c in client.containers.list(all=True, filters=by_label, ignore_removed=True)
        ),
        *(f"network {n.name}" for n in client.networks.list(filters=by_label)),
        *(f"volume {v.name}" for v in client.volumes.list(filters=by_label)),
    ]


def started(lab: Lab) -> Lab:
    """Bring a lab up; its own verification must be clean."""
    done = lab.run("up")
    assert done.returncode == 0, f"{done.stdout}\n{done.stderr}"
    return lab


@pytest.fixture(scope="module")
def lab(make_lab: MakeLab) -> Lab:
    """A running bridge lab with two replicas over unix links."""
    return started(make_lab())


@pytest.fixture
def repo() -> Path:
    """The checkout."""
    return Path(__file__).parents[2]


@pytest.fixture(scope="session")
def images(tmp_path_factory: pytest.TempPathFactory) -> None:
    """The images that are built here, where no `up` has built them yet."""
    folder = tmp_path_factory.mktemp("images")
    (folder / "stack.yaml").write_text(f"name: images\nconnections: 100\ntelemt: {TELEMT}\n")
    build_images(folder / "stack.yaml")


def build_images(stack_file: Path) -> None:
    """What a rendered stack needs on the engine; a binary's image is each stack's own."""
    sources = Sources("binary" if REAL else "double", "build")
    ensure(load(stack_file), sources, Engine.connect(), print)


@pytest.fixture(scope="session")
def granted_nofile(images: None) -> int:
    """The most descriptors this engine gives a container, up to the guide's 1048576: tried."""
    client = docker.from_env()

    def hard_limit(*ulimits: Ulimit) -> int:
        container = client.containers.create(
            HAPROXY_IMAGE, ["sh", "-c", "ulimit -Hn"], ulimits=list(ulimits)
        )
        try:
            container.start()
            container.wait()
            return int(container.logs())
        finally:
            # One that cannot be started is left behind by the SDK's own `remove=True`.
            container.remove(force=True)

    try:
        return hard_limit(Ulimit(name="nofile", soft=1048576, hard=1048576))
    except docker.errors.DockerException:
        return min(1048576, hard_limit())
