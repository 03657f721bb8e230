"""One machine of each suite for the whole run; a machine that cannot be built is a failure."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from .deployment import production_images
from .image import Image, Suite, image
from .machine import Machine

HERE = Path(__file__).parent

on_debian_12 = pytest.mark.parametrize("suite", [Suite.BOOKWORM], indirect=True, scope="session")
"""For tests of what is the same on both releases: `make test-vm` runs them, and `make test` not."""


def pytest_configure() -> None:
    """SIGTERM ends the run as Ctrl-C does: with the machines taken away."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Everything in this folder needs a machine."""
    for item in items:
        if HERE in item.path.parents:
            item.add_marker(pytest.mark.vm)


@pytest.fixture(scope="session")
def container_images(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, ...]:
    """Names of the container images that every machine's engine has; built where they are not."""
    return production_images(tmp_path_factory.mktemp("containers") / "built")


@pytest.fixture(scope="session", params=list(Suite), ids=str)
def suite(request: pytest.FixtureRequest) -> Suite:
    """Each Debian release; pytest runs all tests of one before it boots the next."""
    assert isinstance(request.param, Suite)
    return request.param


@pytest.fixture(scope="session")
def vm_image(suite: Suite, container_images: tuple[str, ...]) -> Image:
    """The suite's image, built where the cache has none."""
    return image(suite, container_images)


@pytest.fixture(scope="session")
def scratch(suite: Suite, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the machine's disk and console are, for as long as it lives."""
    return tmp_path_factory.mktemp(f"vm-{suite}")


@pytest.fixture(scope="session")
def machine(vm_image: Image, scratch: Path) -> Iterator[Machine]:
    """The machine, up and settled."""
    with Machine(vm_image, scratch) as booted:
        yield booted
