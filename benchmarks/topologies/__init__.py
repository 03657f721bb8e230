"""What carries the traffic of a measurement: the stack as rendered, the guide's, and a naive one.

The same sink and the same HAProxy binary are in all of them.
"""

from __future__ import annotations

import os
import secrets as random
import subprocess
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import yaml

from benchmarks.lab import lab, signals_as_interrupts, signals_ignored
from benchmarks.measure import BenchmarkError
from benchmarks.processes import family
from benchmarks.traffic import Traffic
from stackctl import __version__
from stackctl.engine import Compose, Engine
from stackctl.engine.images import ensure_base, ensure_image
from stackctl.observe.look import facts_of, look
from stackctl.operate.refuse import refuse_other_machine
from stackctl.operate.sources import ensure_collector
from stackctl.operate.write import write_tree
from stackctl.plan import Sources, make_plan
from stackctl.render import MODES, render
from stackctl.spec import load, load_secrets
from stackctl.traffic.target import target_of

FOLDER = Path(__file__).parent
HAPROXY_IMAGE = f"stackctl/haproxy:{__version__}"
START_SECONDS = 30.0
SOURCES = 64
FIRST_SOURCE = "127.0.1.1"
PREPARED = {
    "net.core.somaxconn": "65535",
    "net.ipv4.tcp_max_syn_backlog": "65535",
    "net.ipv4.ip_local_port_range": "10000 65535",
}
"""What host preparation gives the namespace of a stack on the host's network."""


@dataclass(frozen=True, slots=True)
class Running:
    """A topology that runs.

    Attributes:
        host: where clients go, an IPv4 address.
        port: its TCP port.
        haproxy: process ids of HAProxy, master and worker; empty on a bare path.
        replicas: process ids of the sinks.
        namespace: a process whose network namespace clients stand in; 0: this one's.
        sources: addresses of loopback that clients come from; 0: the kernel picks the only one.
        own_port: the port that HAProxy listens on in its namespace; 0: the same.
    """

    host: str
    port: int
    haproxy: tuple[int, ...] = ()
    replicas: tuple[int, ...] = ()
    namespace: int = 0
    sources: int = 0
    own_port: int = 0

    def clients(self, program: Path, sources: tuple[str, int] | None = None) -> Traffic:
        """Clients of it; none is connected yet.

        Args:
            program: the compiled traffic.c.
            sources: the first address and how many of them; else this topology's.
        """
        first, count = sources or (FIRST_SOURCE if self.sources else "-", self.sources)
        return Traffic(program, self.host, self.port, first, count, self.namespace)


@dataclass(frozen=True, slots=True)
class Parts:
    """What all topologies of a benchmark are made of.

    Attributes:
        engine: where they run.
        sink: the compiled sink.
        image: the image that has it as a replica's binary.
        nofile: descriptors a process can have here.
    """

    engine: Engine
    sink: Path
    image: str
    nofile: int


@contextmanager
def parts(sink: Path, nofile: int) -> Iterator[Parts]:
    """Build the images; that of the sink is removed in the end.

    Raises:
        EngineError: no engine answers, or an image cannot be built.
    """
    engine = Engine.connect()
    tag = f"stackctl/telemt:bench-{random.token_hex(4)}"
    base = ensure_base(engine.client, lambda _: None)
    ensure_image(engine.client, "haproxy", HAPROXY_IMAGE, base, lambda _: None)
    ensure_collector(engine, lambda _: None)
    ensure_image(engine.client, "telemt", tag, base, lambda _: None, {"telemt": sink})
    try:
        yield Parts(engine, sink, tag, nofile)
    finally:
        with signals_ignored():
            engine.client.images.remove(tag, force=True)


@contextmanager
def rendered(
    made: Parts, asked: Mapping[str, Any], port: int | None = None, host: str = ""
) -> Iterator[Running]:
    """The stack that a stack.yaml makes, as `stackctl up` starts it, proof left out.

    The proof ends in handshakes, which a sink does not speak.

    Args:
        made: engine and images.
        asked: stack.yaml; name, port and where HAProxy and the replicas come from are filled in.
        port: for clients; None: a free one.
        host: a container whose network namespace stands for the host's; empty: the host's own.
    """
    engine = made.engine
    document = {
        **asked,
        "haproxy": {"source": "build"},
        "telemt": {"source": "binary", "binary": str(made.sink)},
    }
    # Its braces are not placeholders.
    text = yaml.safe_dump(document).replace("{", "{{").replace("}", "}}")
    template = text + "name: {name}\nlisten: {port}\n"
    with lab(engine, int(asked["replicas"]), template, port) as one:
        stack = load(one.file)
        before = look(engine, stack, clients=False)
        refuse_other_machine(before)
        plan = replace(
            make_plan(stack, facts_of(before, engine, stack.name), Sources("binary", "build")),
            telemt_image=made.image,
        )
        folder = one.compose_file.parent
        files = render(plan, load_secrets(stack.secrets_path))
        if host:
            compose = files["compose.yaml"]
            text = compose.text.replace("network_mode: host", f"network_mode: container:{host}")
            files["compose.yaml"] = replace(compose, text=text)
        write_tree(folder, files, MODES)
        Compose(folder, plan.project).up()
        containers = engine.containers(stack.name)
        target = target_of(stack, plan, engine.subnets().get(stack.name, ()))
        yield Running(
            host=target.host,
            port=target.port,
            haproxy=family(next(c.pid for c in containers if c.target == "haproxy")),
            replicas=tuple(c.pid for c in containers if c.is_replica),
            sources=SOURCES if stack.network == "host" else 0,
        )


@contextmanager
def own_host(made: Parts) -> Iterator[tuple[str, int]]:
    """A container that does nothing, for its network namespace: a prepared host's.

    Connections are tracked in it, as on a Docker host: the engine's rules of name resolution see to
    that. Yields its id and its process id.
    """
    name = f"bench-host-{random.token_hex(4)}"
    client = made.engine.client
    with signals_as_interrupts():
        network = client.networks.create(name)
        try:
            container = client.containers.run(
                HAPROXY_IMAGE,
                ["sleep", "infinity"],
                name=name,
                network=name,
                sysctls=PREPARED,
                detach=True,
            )
            try:
                container.reload()
                yield str(container.id), int(container.attrs["State"]["Pid"])
            finally:
                with signals_ignored():
                    container.remove(force=True)
        finally:
            with signals_ignored():
                network.remove()


@contextmanager
def guide(made: Parts, program: Path, port_range: str = "10000 65535") -> Iterator[Running]:
    """The guide's literal configuration; clients stand in its namespace, as on its host.

    Args:
        made: engine and images.
        program: the compiled traffic.c, which finds out when it answers.
        port_range: ip_local_port_range.
    """
    with _composed(made, "guide", {"PORT_RANGE": port_range}) as pids:
        haproxy = pids["haproxy"]
        running = Running("127.0.0.1", 443, family(haproxy), (pids["telemt"],), haproxy, SOURCES)
        _wait(running, program)
        yield replace(running, haproxy=family(haproxy))


@contextmanager
def naive(made: Parts, program: Path, port: int) -> Iterator[Running]:
    """A naive compose file; clients come to its gateway, where the kernel passes them on.

    On 127.0.0.1 of the same port the engine's userland proxy does that.
    """
    with _composed(made, "naive", {"PORT": str(port)}) as pids:
        network = made.engine.client.networks.get(f"{pids.project}_default")
        gateway = str(network.attrs["IPAM"]["Config"][0]["Gateway"])
        replicas = (pids["telemt"],)
        running = Running(gateway, port, family(pids["haproxy"]), replicas, own_port=443)
        _wait(running, program)
        yield replace(running, haproxy=family(pids["haproxy"]))


@contextmanager
def bare(sink: Path, port: int) -> Iterator[Running]:
    """The sink alone, on loopback, without a proxy."""
    argv = [str(sink), "--listen", f"127.0.0.1:{port}"]
    with (
        signals_as_interrupts(),
        subprocess.Popen(argv, stdout=subprocess.PIPE, text=True) as process,
    ):
        try:
            assert process.stdout is not None
            if not process.stdout.readline():
                raise BenchmarkError("the sink did not start")
            yield Running("127.0.0.1", port, (), (process.pid,), sources=SOURCES)
        finally:
            process.kill()


class Pids(dict[str, int]):
    """Process ids of a compose project's services, by name."""

    project: str = ""


@contextmanager
def _composed(made: Parts, which: str, more: Mapping[str, str]) -> Iterator[Pids]:
    project = f"bench-{which}-{random.token_hex(4)}"
    argv = ["docker", "compose", "-p", project, "-f", str(FOLDER / which / "compose.yaml")]
    environment = {
        **os.environ,
        **more,
        "HAPROXY_IMAGE": HAPROXY_IMAGE,
        "SINK": str(made.sink),
        "NOFILE": str(made.nofile),
    }
    with signals_as_interrupts():
        try:
            done = subprocess.run(
                [*argv, "up", "-d"], env=environment, capture_output=True, text=True, check=False
            )
            if done.returncode:
                raise BenchmarkError(f"{which} did not start: {done.stderr[-800:]}")
            pids = Pids()
            pids.project = project
            label = f"com.docker.compose.project={project}"
            for container in made.engine.client.containers.list(filters={"label": label}):
                service = container.labels["com.docker.compose.service"]
                pids[service] = int(container.attrs["State"]["Pid"])
            yield pids
        finally:
            with signals_ignored():
                subprocess.run(
                    [*argv, "down", "-v", "-t", "0"],
                    env=environment,
                    capture_output=True,
                    check=False,
                )


def _wait(running: Running, program: Path) -> None:
    """Until one connection is answered through it."""
    end = time.monotonic() + START_SECONDS
    while time.monotonic() < end:
        with running.clients(program) as clients:
            if clients.open(1, seconds=2).opened:
                return
        time.sleep(0.2)
    raise BenchmarkError(f"{running.host}:{running.port} did not answer in {START_SECONDS:.0f} s")
