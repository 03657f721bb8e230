"""One start of the probe container."""

from __future__ import annotations

import base64
import json
import zlib
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

from stackctl import __version__
from stackctl.engine.door import door, short
from stackctl.engine.model import STACK_LABEL, VERSION_LABEL
from stackctl.errors import EngineError

if TYPE_CHECKING:
    from docker import DockerClient
    from docker.models.containers import Container as SdkContainer

PROBE_IMAGE = f"stackctl/probe:{__version__}"
PROBE_CAPABILITIES = ("SYS_ADMIN", "SYS_PTRACE", "DAC_READ_SEARCH")
"""Enter namespaces; read other users' /proc and duplicate a live socket; list their descriptors.
Not `--privileged`: a daemon without CAP_SYS_RESOURCE cannot start that."""


def packed(request: Mapping[str, Any]) -> str:
    """The request as one argument. Packed: an argument may have 128 KiB, 200 replicas need more."""
    text = json.dumps(request, separators=(",", ":"))
    return "z:" + base64.b64encode(zlib.compress(text.encode(), 9)).decode()


def run_probe(client: DockerClient, request: Mapping[str, Any], stack: str) -> dict[str, Any]:
    """Run the probe once and return its answer.

    Args:
        client: the engine.
        request: observe.request builds it.
        stack: name of the stack, for the container's label.

    Raises:
        EngineError: it could not be started, or did not answer with JSON.
    """
    from docker.errors import ImageNotFound
    from docker.types import LogConfig

    def run() -> tuple[bytes, bytes, int]:
        container = client.containers.create(
            PROBE_IMAGE,
            [packed(request)],
            pid_mode="host",
            network_mode="host",
            cgroupns="host",
            # With user namespaces remapped, the host's would be refused otherwise.
            userns_mode="host",
            cap_drop=["ALL"],
            cap_add=list(PROBE_CAPABILITIES),
            # HAProxy's admin socket is open to its group alone.
            group_add=["99"],
            # The engine's own process runs unconfined, and docker-default may not look at it.
            security_opt=["apparmor=unconfined"],
            read_only=True,
            labels={STACK_LABEL: stack, VERSION_LABEL: __version__},
            log_config=LogConfig(type="none"),
        )
        try:
            return _run_attached(container)
        finally:
            container.remove(force=True)

    try:
        # In a thread, and waited for: Ctrl-C may come before the container is removed.
        with door("running the probe"), ThreadPoolExecutor(max_workers=1) as pool:
            output, errors, status = pool.submit(run).result()
    except EngineError as error:
        if isinstance(error.__cause__, ImageNotFound):
            raise EngineError(
                f"the probe's image {PROBE_IMAGE} is gone", "`stackctl up` builds it again"
            ) from error
        raise
    if status != 0:
        raise EngineError(
            f"the probe failed with status {status}: {short(errors)}",
            "run the command again; if it fails again, report the message above",
        )
    try:
        answer: dict[str, Any] = json.loads(output)
    except ValueError as error:
        raise EngineError(
            f"the probe's answer is not JSON: {output[:200]!r}", "report this message"
        ) from error
    return answer


def _run_attached(container: SdkContainer) -> tuple[bytes, bytes, int]:
    """Start a container and read it to its end: stdout, stderr and exit status.

    Attached before the start, so the output comes as it is written, and whole: which log driver the
    engine has, and whether that has everything when the container ends, does not matter.
    """
    stream = container.attach(stdout=True, stderr=True, stream=True, demux=True)
    container.start()
    output, errors = bytearray(), bytearray()
    for out, err in stream:
        output += out or b""
        errors += err or b""
    return bytes(output), bytes(errors), int(container.wait()["StatusCode"])
