"""The captured probe run, for the edges that ask for one."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest


@pytest.fixture
def response() -> dict[str, Any]:
    """The captured response; each test may change its own copy."""
    text = (Path(__file__).parents[2] / "captured/response.json").read_text(encoding="utf-8")
    found: dict[str, Any] = json.loads(text)
    return found
