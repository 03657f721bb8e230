"""What an engine is asked for, with an engine made of paper."""

from __future__ import annotations

import importlib
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, cast

import pytest
from docker import errors as docker_errors

from stackctl.engine.images import ImageBuildError, ensure_base, ensure_image
from stackctl.engine.images import base as base_module
from stackctl.engine.images.build import CONTENT_LABEL

pull_module = importlib.import_module(
    "stackctl.engine.images.pull"
)  # the package exports a function of that name


@dataclass
class PaperImage:
    labels: dict[str, str]


@dataclass
class PaperEngine:
    """Stands in for DockerClient: images by reference, scripted builds and pulls, calls kept."""

    images_by_tag: dict[str, PaperImage] = field(default_factory=dict)
    build_events: list[dict[str, Any]] = field(default_factory=lambda: [{"stream": "Step 1\n"}])
    pull_events: list[dict[str, Any]] = field(default_factory=list)
    builds: list[dict[str, Any]] = field(default_factory=list)
    imports: list[str] = field(default_factory=list)

    @property
    def images(self) -> PaperEngine:
        return self

    @property
    def api(self) -> PaperEngine:
        return self

    def get(self, reference: str) -> PaperImage:
        try:
            return self.images_by_tag[reference]
        except KeyError:
            raise docker_errors.ImageNotFound(reference) from None

    def build(self, **kwargs: Any) -> Iterator[dict[str, Any]]:
        self.builds.append(kwargs)
        if not any("error" in event for event in self.build_events):
            self.images_by_tag[kwargs["tag"]] = PaperImage(kwargs["labels"])
        return iter(self.build_events)

    def pull(self, reference: str, **_: Any) -> Iterator[dict[str, Any]]:
        if not any("error" in event for event in self.pull_events):
            self.images_by_tag[reference] = PaperImage({})
        return iter(self.pull_events)

    def import_image(self, _path: str, *, repository: str, tag: str, changes: list[str]) -> str:
        assert changes
        self.imports.append(f"{repository}:{tag}")
        self.images_by_tag[f"{repository}:{tag}"] = PaperImage({})
        return ""


def image(engine: PaperEngine, base: str = "b:1", **kwargs: Any) -> str:
    lines: list[str] = []
    return ensure_image(cast("Any", engine), "haproxy", "mine:1", base, lines.append, **kwargs)


def test_an_image_is_built_once_and_again_when_its_base_changes() -> None:
    engine = PaperEngine()
    assert image(engine) == image(engine) == "mine:1"
    assert len(engine.builds) == 1
    assert engine.builds[0]["buildargs"] == {"BASE": "b:1"}
    image(engine, base="b:2")
    assert len(engine.builds) == 2


def test_a_foreign_image_under_the_tag_is_replaced() -> None:
    engine = PaperEngine(images_by_tag={"mine:1": PaperImage({CONTENT_LABEL: "other"})})
    image(engine)
    assert len(engine.builds) == 1


def test_a_failed_step_inside_a_good_answer_is_an_error_with_the_output() -> None:
    engine = PaperEngine(build_events=[{"stream": "Step 2\n"}, {"error": "returned code 100"}])
    with pytest.raises(ImageBuildError, match=r"Step 2\n\s+returned code 100") as failed:
        image(engine)
    assert "mirror" in failed.value.remedy


def test_the_official_base_is_taken_where_it_can_be_pulled() -> None:
    engine = PaperEngine(pull_events=[{"status": "Pulling"}, {"status": "Pulling"}])
    lines: list[str] = []
    assert ensure_base(cast("Any", engine), lines.append) == base_module.OFFICIAL_BASE
    assert lines == ["pulling debian:trixie-slim", "Pulling"]


def test_without_a_registry_the_base_is_built_and_then_remembered(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    engine = PaperEngine(pull_events=[{"error": "no such host"}])
    monkeypatch.setattr("shutil.which", lambda _: "/usr/bin/mmdebstrap")
    monkeypatch.setattr(base_module, "_run", lambda *_: [])
    lines: list[str] = []
    built = ensure_base(cast("Any", engine), lines.append)
    assert engine.imports == [built]
    assert any("no such host" in line for line in lines)
    lines.clear()
    assert ensure_base(cast("Any", engine), lines.append) == built
    assert lines == []


def test_without_registry_and_mmdebstrap_the_error_names_the_tool(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("shutil.which", lambda _: None)
    engine = PaperEngine(pull_events=[{"error": "no such host"}])
    with pytest.raises(ImageBuildError, match="mmdebstrap") as missing:
        ensure_base(cast("Any", engine), lambda _: None)
    assert "scripts/engine tools mmdebstrap" in missing.value.remedy


def test_a_silent_registry_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:

    release = threading.Event()

    class Silent(PaperEngine):
        def pull(self, reference: str, **_: Any) -> Iterator[dict[str, Any]]:
            release.wait(10)
            return iter([])

    monkeypatch.setattr(pull_module, "PULL_SILENCE_SECONDS", 0.05)
    problem = pull_module.pull(cast("Any", Silent()), "debian:trixie-slim", lambda _: None)
    release.set()
    assert problem == "the registry was silent for 0.05 s"


def test_a_failing_base_build_shows_its_output() -> None:
    with pytest.raises(ImageBuildError, match=r"E: broken\n\s+sh -c .* ended with status 7"):
        base_module._run(["sh", "-c", "echo 'E: broken' >&2; exit 7"], "x:1", lambda _: None)
