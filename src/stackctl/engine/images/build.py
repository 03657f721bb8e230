"""One image from one folder, through the engine's classic builder, which every engine has."""

from __future__ import annotations

import io
from collections import deque
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from stackctl.engine.images.context import context_files, context_tar, digest, images_root
from stackctl.engine.images.errors import TAIL_LINES, ImageBuildError
from stackctl.errors import EngineError

if TYPE_CHECKING:
    from docker import DockerClient

CONTENT_LABEL = "io.stackctl.content"
Progress = Callable[[str], None]
"""Takes one line of progress, without its newline."""


def ensure_image(
    client: DockerClient,
    name: str,
    tag: str,
    base: str,
    progress: Progress,
    extra_files: Mapping[str, Path] | None = None,
) -> str:
    """Build the folder images/`name` FROM `base` as `tag`, unless the engine has the same build.

    Args:
        name: subfolder of the images.
        tag: full reference, repository:tag.
        base: reference of an image the engine has.
        extra_files: programs that join the context, name in the context: file on disk.

    Returns:
        `tag`.

    Raises:
        ImageBuildError: the build failed, or the engine refused it.
        EngineError: the engine did not answer.
    """
    files = context_files(images_root() / name, extra_files)
    # The base is part of the hash: another base makes another image.
    content = digest(files, base)
    if (image_labels(client, tag) or {}).get(CONTENT_LABEL) == content:
        return tag
    progress(f"building {tag} from images/{name}")
    _build(client, context_tar(files), tag, base, content, progress)
    return tag


def image_labels(client: DockerClient, reference: str) -> dict[str, str] | None:
    """The image's labels; None where the engine does not have it.

    Raises:
        EngineError: the engine did not answer.
    """
    from docker.errors import DockerException, ImageNotFound
    from requests.exceptions import RequestException

    try:
        return dict(client.images.get(reference).labels)
    except ImageNotFound:
        return None
    except (DockerException, RequestException) as error:
        raise EngineError(
            f"the engine did not answer: {error}",
            "check it with 'docker info', or start one with 'scripts/engine up'",
        ) from error


def _build(
    client: DockerClient, context: bytes, tag: str, base: str, content: str, progress: Progress
) -> None:
    from docker.errors import DockerException
    from requests.exceptions import RequestException

    tail: deque[str] = deque(maxlen=TAIL_LINES)
    try:
        events = client.api.build(
            fileobj=io.BytesIO(context),
            custom_context=True,
            tag=tag,
            decode=True,
            rm=True,
            forcerm=True,
            buildargs={"BASE": base},
            labels={CONTENT_LABEL: content},
        )
        failed = False
        for event in events:
            # The answer to a failed build has status 200, too; only an event tells of the failure.
            failed = failed or "error" in event
            text = str(event.get("error") or event.get("stream") or event.get("status") or "")
            for line in filter(None, map(str.rstrip, text.splitlines())):
                tail.append(line)
                progress(line)
    except (DockerException, RequestException) as error:
        raise ImageBuildError.of_build(tag, [*tail, str(error)]) from error
    if failed:
        raise ImageBuildError.of_build(tag, tail)
    if image_labels(client, tag) is None:
        raise ImageBuildError.of_build(tag, [*tail, "the builder ended without an image"])
