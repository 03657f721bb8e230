"""What holds for all unit tests, and what was captured of live stacks."""

from __future__ import annotations

import os
from typing import Any

import pytest
from hypothesis import HealthCheck, settings

from stackctl.observe.snapshot import Snapshot
from tests.unit import captured
from tests.unit.observe.cases import snapshot_of

# A busy machine makes any example slow, and no test here is about time.
settings.register_profile("full", deadline=None, suppress_health_check=[HealthCheck.too_slow])
# A developer runs these tests all the time; CI looks at as many examples as Hypothesis means to.
settings.register_profile("quick", settings.get_profile("full"), max_examples=30)
settings.load_profile("full" if os.environ.get("CI") == "true" else "quick")


@pytest.fixture
def response() -> dict[str, Any]:
    """The answer of a stack with unix links; each test may change its own copy."""
    return captured.answer(captured.UNIX)


@pytest.fixture
def logs() -> captured.Logs:
    """What its replicas logged meanwhile."""
    return captured.logs(captured.UNIX)


@pytest.fixture
def snapshot(response: dict[str, Any], logs: captured.Logs) -> Snapshot:
    """The same as readers see it."""
    return snapshot_of(response, logs)


@pytest.fixture
def tcp() -> dict[str, Any]:
    """The answer of one with TCP links to three ports of each replica, and `buffers: density`."""
    return captured.answer(captured.TCP)


@pytest.fixture
def tcp_logs() -> captured.Logs:
    """What its replicas logged meanwhile."""
    return captured.logs(captured.TCP)
