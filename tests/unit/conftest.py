"""What holds for all unit tests, and what was captured of live stacks."""

from __future__ import annotations

import copy
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, settings

from stackctl.observe.snapshot import Snapshot
from tests.unit.observe.cases import snapshot_of

CAPTURED = Path(__file__).parents[1] / "captured"


# A busy machine makes any example slow, and no test here is about time.
settings.register_profile("full", deadline=None, suppress_health_check=[HealthCheck.too_slow])
# A developer runs these tests all the time; CI looks at as many examples as Hypothesis means to.
settings.register_profile("quick", settings.get_profile("full"), max_examples=30)
settings.load_profile("full" if os.environ.get("CI") == "true" else "quick")


@pytest.fixture(scope="session")
def captured() -> Callable[[str], str]:
    """Text of a file of tests/captured."""
    return lambda name: (CAPTURED / name).read_text(encoding="utf-8")


@pytest.fixture(scope="session")
def _response(captured: Callable[[str], str]) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(captured("response.json"))
    return found


@pytest.fixture
def response(_response: dict[str, Any]) -> dict[str, Any]:
    """The captured response; each test may change its own copy."""
    return copy.deepcopy(_response)


@pytest.fixture(scope="session")
def logs(captured: Callable[[str], str]) -> dict[str, tuple[str, ...]]:
    """What the replicas logged during the captured run."""
    return {name: tuple(lines) for name, lines in json.loads(captured("replica_logs.json")).items()}


@pytest.fixture
def snapshot(response: dict[str, Any], logs: dict[str, tuple[str, ...]]) -> Snapshot:
    """The captured run as readers see it."""
    return snapshot_of(response, logs)
