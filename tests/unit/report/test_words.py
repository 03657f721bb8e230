"""Names of targets joined as people read them."""

from __future__ import annotations

import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stackctl.limits import INFINITY, Value
from stackctl.report.words import shown, targets


@pytest.mark.parametrize(
    ("names", "joined"),
    [
        ([], ""),
        (["host"], "host"),
        (["telemt-1"], "telemt-1"),
        (["telemt-1", "telemt-2"], "telemt-1..2"),
        (["telemt-1", "telemt-3"], "telemt-1,3"),
        (["telemt-2", "telemt-1", "telemt-3", "telemt-10"], "telemt-1..3,10"),
        (["haproxy", "telemt-1", "telemt-2"], "haproxy, telemt-1..2"),
        (["haproxy/telemt-1", "haproxy/telemt-2"], "haproxy/telemt-1..2"),
        (["haproxy", "haproxy/telemt-1", "telemt-1"], "haproxy, haproxy/telemt-1, telemt-1"),
    ],
)
def test_targets(names: list[str], joined: str) -> None:
    assert targets(names) == joined


@settings(max_examples=60)
@given(st.sets(st.integers(1, 200), min_size=1))
def test_numbers_can_be_read_back(numbers: set[int]) -> None:
    text = targets(f"telemt-{n}" for n in numbers)
    read: set[int] = set()
    for span in text.removeprefix("telemt-").split(","):
        first, _, last = span.partition("..")
        read |= set(range(int(first), int(last or first) + 1))
    assert read == numbers
    assert re.fullmatch(r"telemt-[\d.,]+", text)


@pytest.mark.parametrize(
    ("value", "text"),
    [(None, "-"), (0, "0"), ("fq", "fq"), (INFINITY, "infinity"), ((1, 2), "1 2")],
)
def test_values(value: Value | None, text: str) -> None:
    assert shown(value) == text
