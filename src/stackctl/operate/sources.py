"""Which images run: `auto` is resolved by asking the engine, and missing images are built."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

from stackctl.engine import COLLECTOR_IMAGE, Engine
from stackctl.errors import EngineError, StrictError
from stackctl.plan import Sources
from stackctl.plan.make import (
    haproxy_image,
    lab_datacentre_image,
    official_haproxy,
    official_telemt,
    telemt_image,
)
from stackctl.spec import Stack, check_binary

Progress = Callable[[str], None]


def resolve(stack: Stack, engine: Engine, progress: Progress) -> Sources:
    """What `auto` means on this engine: the official image where the engine has or can pull it.

    TELEMT_BINARY in the environment replaces `auto` by that binary, TELEMT_IMAGE by that image, so
    that the same stack files and tests run against real Telemt.

    Raises:
        EngineError: the image of TELEMT_IMAGE cannot be pulled.
        StrictError: strict mode, and only the double is available.
    """
    telemt = stack.telemt.source
    reference = os.environ.get("TELEMT_IMAGE", "") if telemt == "auto" else ""
    if telemt == "auto" and os.environ.get("TELEMT_BINARY"):
        telemt = "binary"
    if telemt == "auto" and reference:
        _pull(engine, reference, "TELEMT_IMAGE= (empty)", progress)
        telemt = "official"
    if telemt == "auto":
        official = official_telemt(stack)
        telemt = "official" if _can_have(engine, official, progress) else "double"
        if telemt == "double" and stack.limits.mode == "strict":
            raise StrictError(
                f"strict mode: nothing was started; {official} cannot be pulled, and the lab "
                "double is not for production",
                "let the engine reach the image's registry, or set telemt.source to binary",
            )
        if telemt == "double":
            progress("telemt: the official image cannot be pulled; the lab DOUBLE runs instead")
    haproxy = stack.haproxy.source
    if haproxy == "auto":
        official = official_haproxy(stack)
        haproxy = "official" if _can_have(engine, official, progress) else "build"
    return Sources(telemt, haproxy, reference if telemt == "official" else "")


def running(stack: Stack, engine: Engine) -> Sources | None:
    """The images that run, by the labels of the stack's containers; None where none runs."""
    for container in engine.containers(stack.name):
        if container.target == "haproxy":
            telemt = container.labels.get("io.stackctl.telemt", "")
            image = container.labels.get("io.stackctl.haproxy", "")
            if telemt and image:
                reference = os.environ.get("TELEMT_IMAGE", "") if telemt == "official" else ""
                return Sources(telemt, image, reference)
    return None


def ensure(stack: Stack, sources: Sources, engine: Engine, progress: Progress) -> None:
    """Build or pull every image the stack needs.

    Raises:
        EngineError: an image can neither be pulled nor built.
        SpecError: the Telemt binary to package does not exist.
    """
    ensure_collector(engine, progress)
    haproxy = haproxy_image(stack, sources)
    if sources.haproxy == "build":
        _build(engine, "haproxy", haproxy, progress)
    else:
        _pull(engine, haproxy, "haproxy.source: build", progress)
    _ensure_datacentre(stack, engine, progress)
    telemt = telemt_image(stack, sources)
    if sources.telemt == "double":
        _build(engine, "telemt-lab", telemt, progress)
    elif sources.telemt == "binary":
        _build(engine, "telemt", telemt, progress, {"telemt": _binary(stack)})
    else:
        _pull(engine, telemt, "telemt.source: binary with telemt.binary", progress)


def _ensure_datacentre(stack: Stack, engine: Engine, progress: Progress) -> None:
    if stack.telemt.datacentre == "lab":
        _build(engine, "lab-dc", lab_datacentre_image(), progress)


def ensure_collector(engine: Engine, progress: Progress) -> None:
    """Build the collector's image where it is missing or its source has changed."""
    from stackctl.engine.images import collector_files

    _build(engine, "collector", COLLECTOR_IMAGE, progress, collector_files())


def _build(
    engine: Engine,
    folder: str,
    image: str,
    progress: Progress,
    extra: dict[str, Path] | None = None,
) -> None:
    from stackctl.engine.images import ensure_base, ensure_image

    base = ensure_base(engine.client, progress)
    ensure_image(engine.client, folder, image, base, progress, extra)


def _can_have(engine: Engine, image: str, progress: Progress) -> bool:
    """Whether the engine has an image or can pull it; pulls it."""
    from stackctl.engine.images import image_labels, pull

    if image_labels(engine.client, image) is not None:
        return True
    problem = pull(engine.client, image, progress)
    if problem:
        progress(f"{image} cannot be pulled: {problem}")
    return problem is None


def _pull(engine: Engine, image: str, instead: str, progress: Progress) -> None:
    if not _can_have(engine, image, progress):
        raise EngineError(
            f"{image} cannot be pulled",
            f"let the engine reach its registry, or set `{instead}`",
        )


def _binary(stack: Stack) -> Path:
    given = stack.telemt.binary or os.environ.get("TELEMT_BINARY", "")
    telemt = stack.telemt.model_copy(update={"binary": given})
    return check_binary(stack.model_copy(update={"telemt": telemt}))
