"""Text that kernels wrote."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

CAPTURED = Path(__file__).parents[2] / "captured"


@pytest.fixture(scope="session")
def captured() -> Callable[[str], str]:
    """Text of a file of tests/captured."""
    return lambda name: (CAPTURED / name).read_text(encoding="utf-8")
