"""The production stack holds connections in a machine of its own, with every limit in force."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from .deployment import REPLICAS, Deployment
from .image import Suite, image
from .loading import NOT_A_SINKS, bytes_each, hold_and_verify, start_sinks
from .machine import Machine

HELD = 20_000
"""`make bench-vm` holds 100,000 and 250,000."""
HOLDS = (60, 240, 960)
MOST_BYTES = 24 * 1024
PLANNED = 250_000
"""The number of stack/production.yaml: its limits are in force, however many clients come."""


@pytest.fixture(scope="module")
def sinks(
    container_images: tuple[str, ...], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Deployment]:
    """All eight replicas of production.yaml, sinks instead of Telemt: see deploy_sinks."""
    scratch = tmp_path_factory.mktemp("vm-held")
    with Machine(image(Suite.TRIXIE, container_images), scratch) as machine:
        yield start_sinks(machine, scratch, PLANNED)


def test_it_holds_20000_connections_with_every_limit_in_force(sinks: Deployment) -> None:
    held = hold_and_verify(sinks, HELD, HOLDS)
    said, found = held.load, held.verified
    assert (said["opened"], said["held"], said["exit"]) == (HELD, HELD, 0), said
    assert (said["failed"], said["lost"], said["problems"]) == ({}, {}, [])
    not_ok = [f for f in found["findings"] if f["verdict"] != "ok"]
    assert {f["limit"] for f in not_ok} == NOT_A_SINKS, not_ok
    assert (found["mode"], found["connections"]) == ("strict", PLANNED)
    nofile = {f["target"]: f["got"] for f in found["findings"] if f["limit"] == "nofile"}
    assert nofile == {name: [1048576, 1048576] for name in ("haproxy", *REPLICAS)}
    each = {use["where"]: use["each"] for use in said["memory"]}
    assert each["machine"] > each["haproxy"] > 2000
    assert bytes_each(said) <= MOST_BYTES, each
