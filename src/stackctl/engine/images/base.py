"""The base of all images: Debian 13, pulled where a registry answers, else built from packages."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import tempfile
import threading
from collections import deque
from pathlib import Path
from typing import TYPE_CHECKING

from stackctl.engine.images.build import Progress, image_labels
from stackctl.engine.images.context import content_hash, images_root
from stackctl.engine.images.errors import TAIL_LINES, ImageBuildError
from stackctl.engine.images.pull import pull

if TYPE_CHECKING:
    from docker import DockerClient

OFFICIAL_BASE = "debian:trixie-slim"
BUILT_BASE = "stackctl/base"

_lock = threading.Lock()


def ensure_base(client: DockerClient, progress: Progress) -> str:
    """Reference of a Debian 13 base the engine has: the official image, or the one built here.

    Once the engine has either image, no registry is asked again.

    Raises:
        ImageBuildError: no registry answers and the base cannot be built.
        EngineError: the engine did not answer.
    """
    folder = images_root() / "base"
    built = f"{BUILT_BASE}:{content_hash(folder)}"
    with _lock:
        for reference in (OFFICIAL_BASE, built):
            if image_labels(client, reference) is not None:
                return reference
        problem = pull(client, OFFICIAL_BASE, progress)
        if problem is None:
            return OFFICIAL_BASE
        progress(f"{OFFICIAL_BASE} cannot be pulled: {problem}")
        progress(f"building {built} from Debian's packages instead; about half a minute")
        _build_base(client, folder / "build", built, progress)
    return built


def _build_base(client: DockerClient, script: Path, reference: str, progress: Progress) -> None:
    from docker.errors import DockerException
    from requests.exceptions import RequestException

    if shutil.which("mmdebstrap") is None:
        raise ImageBuildError(
            f"{OFFICIAL_BASE} cannot be pulled, and mmdebstrap, which builds a base without a "
            "registry, is not installed",
            "run 'scripts/engine tools mmdebstrap' or 'apt-get install mmdebstrap', then this "
            "command again",
        )
    with tempfile.TemporaryDirectory(prefix="stackctl-base-") as scratch:
        tarball = Path(scratch) / "base.tar"
        tail = _run(["sh", str(script), str(tarball)], reference, progress)
        repository, _, tag = reference.partition(":")
        try:
            answer = client.api.import_image(
                str(tarball), repository=repository, tag=tag, changes=['CMD ["bash"]']
            )
        except (DockerException, RequestException, OSError) as error:
            raise ImageBuildError.of_build(reference, [*tail, str(error)]) from error
    if image_labels(client, reference) is None:
        raise ImageBuildError.of_build(reference, [*tail, f"the import failed: {answer}"])


def _run(argv: list[str], reference: str, progress: Progress) -> deque[str]:
    """Run the base's build and return its last lines. Raises ImageBuildError when it fails."""
    tail: deque[str] = deque(maxlen=TAIL_LINES)
    process = subprocess.Popen(
        argv,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        start_new_session=True,
    )
    assert process.stdout is not None
    try:
        for line in map(str.rstrip, process.stdout):
            tail.append(line)
            progress(line)
        status = process.wait()
    finally:
        # After an interrupt mmdebstrap has to unmount, on SIGTERM, before its folder is removed.
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGTERM)
            process.wait()
    if status != 0:
        raise ImageBuildError.of_build(
            reference, [*tail, f"{' '.join(argv)} ended with status {status}"]
        )
    return tail
