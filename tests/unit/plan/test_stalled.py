"""What a client that stops reading may pin, and what bounding it costs."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stackctl.plan.stalled import OVERRUN, Stalled, per_gib, speed, stalled
from stackctl.spec import Stack

PROPERTY = settings(max_examples=80)
LINKS = pytest.mark.parametrize("link", ["unix", "tcp"])
MIB = 1 << 20


def of(link: str, buffers: str, **limits: int) -> Stalled:
    stack = {"name": "lab", "connections": 8000, "link": link, "buffers": buffers}
    return stalled(Stack.model_validate({**stack, "limits": {"mode": "fit", **limits}}))


def test_without_bounds_the_guides_megabytes_are_the_ceiling() -> None:
    assert 16 * MIB < of("unix", "throughput").total < 17 * MIB
    # HAProxy's socket to the client, its socket to the replica, and the replica's own.
    assert 48 * MIB < of("tcp", "throughput").total < 49 * MIB


@LINKS
def test_bounded_it_is_a_fraction_that_covers_what_was_seen(link: str) -> None:
    bounded = of(link, "density")
    assert bounded.total < of(link, "throughput").total / 30
    # Send-Q of such a client's socket: 164,480 bytes; of a replica's over TCP: 47,784.
    assert bounded.client >= 164_480
    assert link == "unix" or bounded.replica >= 47_784


def test_on_a_unix_link_the_replica_holds_what_the_kernels_default_lets_it() -> None:
    small = of("unix", "density", **{"net.core.wmem_default": 212_992})
    assert of("unix", "density").replica - small.replica == 262_144 - 212_992
    # A socketpair of 212,992 took 233,152.
    assert small.replica >= 233_152


@LINKS
def test_the_bounds_of_stack_yaml_are_the_ones_that_count(link: str) -> None:
    wide = of(link, "density", **{"haproxy.sndbuf_client": 4 * 65536})
    assert wide.client == 2 * 4 * 65536 + OVERRUN
    assert wide.window == 4 * 65536


def test_speed_is_the_window_over_the_round_trip() -> None:
    bounded = of("unix", "density").window
    assert (speed(bounded, 50), speed(bounded, 200)) == (1_310_720, 327_680)


@PROPERTY
@given(window=st.integers(1, 1 << 40), ms=st.integers(1, 10_000), each=st.integers(1, 1 << 40))
def test_a_longer_way_is_never_faster_and_less_each_never_fewer(
    window: int, ms: int, each: int
) -> None:
    assert speed(window, ms) >= speed(window, ms + 1)
    assert speed(window, 1000) == window
    assert per_gib(each) >= per_gib(each + 1)
    assert per_gib(each) * each <= 1 << 30
