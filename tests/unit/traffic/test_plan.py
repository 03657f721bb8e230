"""Processes, source addresses and refusals, as arithmetic."""

from __future__ import annotations

from ipaddress import IPv4Address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stackctl.errors import PlanError
from stackctl.traffic.model import Load, Machine, Target
from stackctl.traffic.plan import OWN_DESCRIPTORS, plan_load, source_addresses

LOOPBACK = Target("127.0.0.1", 8443)
GATEWAY = Target("10.201.0.1", 8443)


def machine(
    nofile: int = 20000,
    ports: tuple[int, int] = (32768, 60999),
    files: int = 10**7,
    memory: int = 1 << 40,
    cpus: int = 2,
) -> Machine:
    return Machine(cpus, nofile, ports, files, memory)


@given(
    connections=st.integers(1, 600_000),
    nofile=st.integers(OWN_DESCRIPTORS + 100, 1 << 20),
    low=st.integers(1024, 50000),
    width=st.integers(100, 15000),
    cpus=st.integers(1, 64),
)
def test_every_connection_has_a_process_a_descriptor_and_a_comfortable_port(
    connections: int, nofile: int, low: int, width: int, cpus: int
) -> None:
    ports = (low, low + width - 1)
    plan = plan_load(Load(connections), LOOPBACK, machine(nofile, ports, cpus=cpus))
    numbers = [n for s in plan.shares for n in (s.first, s.first + s.connections)]
    assert (numbers[0], numbers[-1]) == (0, connections)
    assert numbers[1:-1:2] == numbers[2::2]
    assert all(0 < s.connections <= nofile - OWN_DESCRIPTORS for s in plan.shares)
    # Numbers take the sources in turn.
    assert -(-connections // len(plan.sources)) <= max(1, 0.45 * width)


@pytest.mark.parametrize("count", [1, 254, 255, 20_000])
def test_source_addresses(count: int) -> None:
    addresses = [IPv4Address(text) for text in source_addresses(count)]
    assert len(set(addresses)) == count
    assert all(str(a).startswith("127.0.") and a.packed[3] not in {0, 255} for a in addresses)
    assert IPv4Address("127.0.0.1") not in addresses


def test_a_machine_with_two_cpus() -> None:
    plan = plan_load(Load(100_000), LOOPBACK, machine())
    assert len(plan.shares) == 6
    assert len(plan.sources) == 8
    assert len(plan_load(Load(4000), LOOPBACK, machine()).shares) == 2
    assert len(plan_load(Load(400), LOOPBACK, machine()).shares) == 1


def test_a_stack_that_balances_by_source_is_given_many() -> None:
    target = Target("127.0.0.1", 8443, balanced_by_source=True, replicas=4)
    assert len(plan_load(Load(4000), target, machine()).sources) == 256
    assert len(plan_load(Load(10), target, machine()).sources) == 10


def test_elsewhere_there_is_one_source() -> None:
    plan = plan_load(Load(8000), GATEWAY, machine())
    assert (plan.sources, plan.warnings) == ((), ())
    plan = plan_load(Load(20_000), GATEWAY, machine())
    assert "71% of the source ports" in plan.warnings[0]
    many = Target("10.201.0.1", 8443, balanced_by_source=True, replicas=4)
    assert "one of the 4 replicas" in plan_load(Load(10), many, machine()).warnings[0]


@pytest.mark.parametrize(
    ("load", "target", "given", "message", "remedy"),
    [
        (Load(0), LOOPBACK, machine(), "--connections: 0 is below 1", "give 1"),
        (
            Load(9, rate=1, burst=True),
            LOOPBACK,
            machine(),
            "--burst: --burst and --rate",
            "one of them",
        ),
        (Load(9), LOOPBACK, machine(nofile=64), "is 64 descriptors", "ulimit -Hn"),
        (Load(900), LOOPBACK, machine(files=963), "has 963 left below fs.file-max", "fs.file-max"),
        (Load(9000), LOOPBACK, machine(memory=1 << 20), "1 MiB are available", "open 74 at most"),
        (
            Load(28233),
            GATEWAY,
            machine(nofile=1 << 20),
            "one address has 28232 (32768-60999)",
            "`network: host`",
        ),
    ],
)
def test_what_cannot_be_made_is_refused_with_what_would_help(
    load: Load, target: Target, given: Machine, message: str, remedy: str
) -> None:
    with pytest.raises(PlanError) as refused:
        plan_load(load, target, given)
    assert message in refused.value.message
    assert remedy in refused.value.remedy


def test_the_time_for_opening_is_bounded() -> None:
    assert plan_load(Load(5000, burst=True, timeout=7), LOOPBACK, machine()).open_seconds == 7
    assert plan_load(Load(5000, rate=500, timeout=7), LOOPBACK, machine()).open_seconds == 17
    assert plan_load(Load(5000, timeout=7), LOOPBACK, machine()).open_seconds == 57
