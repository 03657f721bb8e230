"""Stacks for the tests. They are removed whatever happens; no two workers' stacks meet."""

from __future__ import annotations

import os
import secrets
import shutil
import signal
import socket
import tempfile
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from fcntl import LOCK_EX, flock
from ipaddress import IPv4Network
from pathlib import Path

import docker
import pytest
from docker.types import Ulimit

from stackctl import __version__
from stackctl.engine import Engine
from stackctl.operate.sources import ensure
from stackctl.plan import Sources
from stackctl.plan.address import subnet_of
from stackctl.spec import Stack, init_secrets, load

from .lab import Lab

# Read when testcontainers is imported. Its reaper needs an image that may not be available; we
# remove every stack by its label instead.
os.environ["TESTCONTAINERS_RYUK_DISABLED"] = "true"

REAL = os.environ.get("TELEMT_BINARY", "")
"""The operator's Telemt, where the tests are to run against it."""

_SOURCE = f"binary, binary: {REAL}" if REAL else "double"
TELEMT = f"{{datacentre: lab, source: {_SOURCE}}}"
"""For a stack that is rendered without asking the engine, which images there are must be said."""

WORKERS = int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1"))
WORKER = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw"))
"""Processes that run tests side by side, and which of them this one is, from 0."""

MADE = "STACKCTL_TESTS_MADE"
"""Names the folder in which every lab of this run has a link to its own."""

MakeLab = Callable[..., Lab]

# A shell starts background processes with SIGINT ignored, and the commands that the tests interrupt
# would inherit that.
signal.signal(signal.SIGINT, signal.default_int_handler)

HAPROXY_IMAGE = f"stackctl/haproxy:{__version__}"


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: object) -> object:
    """Tests that share a running lab stay in one worker: those of a file, or of a folder here.

    Not `--dist loadgroup`: with pytest 9.2 pytest-xdist 3.8 does not see the groups.
    """
    from xdist.scheduler import LoadScopeScheduling

    class ByLab(LoadScopeScheduling):
        def _split_scope(self, nodeid: str) -> str:
            file = nodeid.partition("::")[0]
            folder = file.rpartition("/")[0]
            return file if folder.endswith("tests/integration") else folder

    return ByLab(config, log)


def pytest_configure() -> None:
    """Before there are workers: the folder they share."""
    if MADE not in os.environ:
        os.environ[MADE] = tempfile.mkdtemp(prefix="stackctl-labs-")


# Last: pytest-xdist ends the workers in a hook of this name.
@pytest.hookimpl(trylast=True)
def pytest_sessionfinish() -> None:
    """After Ctrl-C a worker has no time to take its labs away, so what started it does."""
    if "PYTEST_XDIST_WORKER" not in os.environ:
        made = Path(os.environ.pop(MADE))
        for path in made.iterdir():
            problem = removed(Lab(path.resolve(), path.name, 0))
            assert not problem, problem
        shutil.rmtree(made)


def pytest_report_header() -> str:
    """The report names what the run was against; no test needs it."""
    image = os.environ.get("TELEMT_IMAGE", "")
    return f"telemt: {REAL or image or 'the official image if it can be pulled, else the double'}"


@pytest.fixture(scope="session", autouse=True)
def images(tmp_path_factory: pytest.TempPathFactory) -> None:
    """Build the images once for all workers.

    A missing engine is a failure, never a skip.
    """
    docker.from_env().ping()
    folder = tmp_path_factory.mktemp("images")
    (folder / "stack.yaml").write_text(f"name: images\nconnections: 100\ntelemt: {TELEMT}\n")
    # A worker's folder is in the one of the whole run.
    whole = tmp_path_factory.getbasetemp()
    whole = whole if WORKERS == 1 else whole.parent
    with (whole / "images.lock").open("w") as held:
        flock(held, LOCK_EX)
        build_images(folder / "stack.yaml")


def free_port() -> int:
    """A port free now and given to nobody before; below every local range and `check`'s ports."""
    share = 10000 // WORKERS
    while True:
        port = 10000 + WORKER * share + secrets.randbelow(share)
        with socket.socket() as probe:
            try:
                probe.bind(("", port))
            except OSError:
                continue
        if port not in _ports:
            _ports.add(port)
            return port


_ports: set[int] = set()


def free_name() -> str:
    """A name whose subnets, which follow from it, are of no other worker's stacks."""
    while True:
        stack = Stack(name=f"t{secrets.token_hex(4)}", connections=1)
        kinds = (stack, stack.model_copy(update={"network": "host"}))
        nets = {subnet_of(kind, None) for kind in kinds}
        ours = all(net.network_address.packed[2] % WORKERS == WORKER for net in nets)
        if ours and nets.isdisjoint(_subnets):
            _subnets.update(nets)
            return stack.name


_subnets: set[IPv4Network] = set()


@contextmanager
def labs_in(factory: pytest.TempPathFactory) -> Iterator[MakeLab]:
    """Writes stack.yaml and secrets; what is started from it is removed at the end."""
    made: list[Lab] = []

    def make(name: str = "", **keys: object) -> Lab:
        name = name or free_name()
        folder = factory.mktemp(name)
        port = free_port()
        # The whole path works without the internet, with any Telemt.
        telemt = "{datacentre: lab}"
        values: dict[str, object] = {"connections": 2000, "replicas": 2, "listen": port}
        values |= {"telemt": telemt} | keys
        lines = [f"name: {name}", *(f"{key}: {value}" for key, value in values.items())]
        (folder / "stack.yaml").write_text("\n".join(lines) + "\n")
        init_secrets(load(folder / "stack.yaml").secrets_path)
        lab = Lab(folder, name, port)
        made.append(lab)
        (Path(os.environ[MADE]) / name).symlink_to(folder)
        return lab

    try:
        yield make
    finally:
        with ThreadPoolExecutor(max_workers=2) as pool:
            wrong = [problem for problem in pool.map(removed, made) if problem]
    assert wrong == []


def removed(lab: Lab) -> str:
    """Remove a lab; return what went wrong."""
    if not leftovers(lab.name):
        return ""
    done = lab.run("down", "--volumes")
    if done.returncode:
        return done.stderr
    return ", ".join(leftovers(lab.name))


@pytest.fixture
def make_lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[MakeLab]:
    """Labs of a test's own: each running lab costs the others a part of a core."""
    with labs_in(tmp_path_factory) as make:
        yield make


@pytest.fixture(scope="module")
def make_shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[MakeLab]:
    """Labs of a module's own."""
    with labs_in(tmp_path_factory) as make:
        yield make


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


@pytest.fixture
def repo() -> Path:
    """The checkout."""
    return Path(__file__).parents[2]


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
            HAPROXY_IMAGE,
            ["sh", "-c", "ulimit -Hn"],
            ulimits=list(ulimits),
            network_mode="none",
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
