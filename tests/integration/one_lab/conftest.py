"""One running lab for every test here: they read it, or leave it as it was."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from ..conftest import labs_in, started
from ..lab import Lab


@pytest.fixture(scope="package")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    """A running bridge lab with two replicas over unix links."""
    with labs_in(tmp_path_factory) as make:
        yield started(make())
