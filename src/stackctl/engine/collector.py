"""One start of the collector's container, and the one place that parses its answer."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from stackctl import __version__
from stackctl.collector.answer import VERSION, Answer
from stackctl.collector.request import Request
from stackctl.collector.wire import WireError, decode, encode
from stackctl.engine.door import door, short
from stackctl.engine.model import STACK_LABEL, VERSION_LABEL
from stackctl.errors import EngineError

if TYPE_CHECKING:
    from docker import DockerClient
    from docker.models.containers import Container as SdkContainer

COLLECTOR_IMAGE = f"stackctl/collector:{__version__}"
COLLECTOR_CAPABILITIES = ("SYS_ADMIN", "SYS_PTRACE", "DAC_READ_SEARCH")
"""Enter namespaces; read other users' /proc and duplicate a live socket; list their descriptors.
Not `--privileged`: a daemon without CAP_SYS_RESOURCE cannot start that."""


def line(request: Request) -> bytes:
    """The request as the one line that the collector reads from its standard input.

    A request may carry secrets. It is no argument and stands in no environment variable, because
    the engine shows both to everyone who may inspect a container.
    """
    return json.dumps(encode(request), separators=(",", ":")).encode() + b"\n"


def run_collector(client: DockerClient, request: Request, stack: str) -> Answer:
    """Run the collector once and return its answer.

    Args:
        client: the engine.
        request: what it is asked; `observe.request` builds it.
        stack: name of the stack, for the container's label.

    Raises:
        EngineError: the collector could not be started, or its answer cannot be parsed.
    """
    from docker.errors import ImageNotFound
    from docker.types import LogConfig

    def run() -> tuple[bytes, bytes, int]:
        container = client.containers.create(
            COLLECTOR_IMAGE,
            stdin_open=True,
            pid_mode="host",
            network_mode="host",
            cgroupns="host",
            # An engine that remaps user namespaces refuses the host's namespaces without this.
            userns_mode="host",
            cap_drop=["ALL"],
            cap_add=list(COLLECTOR_CAPABILITIES),
            # HAProxy's admin socket is open to its group alone.
            group_add=["99"],
            # The engine's process runs unconfined; the profile docker-default may not read it.
            security_opt=["apparmor=unconfined"],
            read_only=True,
            labels={STACK_LABEL: stack, VERSION_LABEL: __version__},
            log_config=LogConfig(type="none"),
        )
        try:
            return _run_attached(container, line(request))
        finally:
            container.remove(force=True)

    try:
        # A thread runs it and is waited for, so a Ctrl-C never leaves the container behind.
        with door("running the collector"), ThreadPoolExecutor(max_workers=1) as pool:
            output, errors, status = pool.submit(run).result()
    except EngineError as error:
        if isinstance(error.__cause__, ImageNotFound):
            raise EngineError(
                f"the collector's image {COLLECTOR_IMAGE} is missing", "`stackctl up` builds it"
            ) from error
        raise
    if status != 0:
        raise EngineError(
            f"the collector failed with status {status}: {short(errors)}",
            "run the command again; if it fails again, report the message above",
        )
    return parse_answer(output)


def parse_answer(output: bytes) -> Answer:
    """The answer, parsed from the collector's JSON.

    Raises:
        EngineError: it is not JSON, of another version, or of another shape.
    """
    try:
        raw = json.loads(output)
    except ValueError as error:
        raise EngineError(
            f"the collector's answer is not JSON: {output[:200]!r}", "report this message"
        ) from error
    version = raw.get("version") if isinstance(raw, dict) else None
    if version != VERSION:
        raise EngineError(
            f"the collector's answer has version {version!r}, not {VERSION}",
            "build the collector's image of this stackctl (`stackctl up` does)",
        )
    try:
        return decode(Answer, raw)
    except WireError as error:
        raise EngineError(
            f"the collector's answer cannot be parsed: {error}", "report this message"
        ) from error


def _run_attached(container: SdkContainer, request: bytes) -> tuple[bytes, bytes, int]:
    """Start a container, write the request to it, and read stdout, stderr and exit status.

    It is attached to before the start, so all of its output arrives, whatever the engine's log
    driver keeps.
    """
    stream = container.attach(stdout=True, stderr=True, stream=True, demux=True)
    way_in = container.attach_socket(params={"stdin": 1, "stream": 1})
    try:
        container.start()
        with suppress(BrokenPipeError, ConnectionResetError):
            # A collector that has ended already says why on stderr; its status is checked below.
            # The SDK returns the socket itself, or a file around it.
            sock: Any = getattr(way_in, "_sock", way_in)
            sock.sendall(request)
        output, errors = bytearray(), bytearray()
        for out, err in stream:
            output += out or b""
            errors += err or b""
    finally:
        way_in.close()
    return bytes(output), bytes(errors), int(container.wait()["StatusCode"])
