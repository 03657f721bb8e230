"""Values as text, and when an observed one satisfies a wanted one."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stackctl.limits import INFINITY, Compare, Kind, Value
from stackctl.limits.values import compact, parse, satisfies

PROPERTY = settings(max_examples=60)

NUMBERS = st.integers(0, INFINITY)
SINGLE = [Kind.COUNT, Kind.BYTES, Kind.SECONDS, Kind.MILLISECONDS, Kind.FLAG]
TUPLES = {Kind.PORT_RANGE: 2, Kind.SOFT_HARD: 2, Kind.TRIPLE: 3}
RANGES = st.tuples(st.integers(1, 65535), st.integers(1, 65535)).map(lambda p: (min(p), max(p)))
WORDS = st.text("abcdefghijklmnopqrstuvwxyz0123456789_", min_size=1, max_size=20)


def tuples(length: int) -> st.SearchStrategy[tuple[int, ...]]:
    return st.tuples(*[NUMBERS] * length)


def typed_values() -> st.SearchStrategy[tuple[Kind, Value]]:
    kinds: list[st.SearchStrategy[tuple[Kind, Value]]] = [
        st.tuples(st.sampled_from(SINGLE), NUMBERS),
        st.tuples(st.just(Kind.WORD), WORDS),
    ]
    kinds += [st.tuples(st.just(kind), tuples(length)) for kind, length in TUPLES.items()]
    return st.one_of(kinds)


@pytest.mark.parametrize(
    ("kind", "text", "value"),
    [
        (Kind.COUNT, "65535\n", 65535),
        (Kind.COUNT, "  0 ", 0),
        (Kind.COUNT, "-1", -1),
        (Kind.COUNT, "9223372036854775807", INFINITY),
        (Kind.COUNT, "max\n", INFINITY),
        (Kind.COUNT, "infinity", INFINITY),
        (Kind.SOFT_HARD, "1024                 unlimited", (1024, INFINITY)),
        (Kind.PORT_RANGE, "32768\t60999\n", (32768, 60999)),
        (Kind.TRIPLE, "4096\t131072\t33554432\n", (4096, 131072, 33554432)),
        (Kind.WORD, "bbr\n", "bbr"),
        (Kind.FLAG, "1\n", 1),
    ],
)
def test_kernel_text_is_read(kind: Kind, text: str, value: Value) -> None:
    assert parse(kind, text) == value


@pytest.mark.parametrize(
    ("kind", "text"),
    [
        (Kind.COUNT, ""),
        (Kind.COUNT, " \n"),
        (Kind.COUNT, "many"),
        (Kind.COUNT, "1 2"),
        (Kind.COUNT, "1.5"),
        (Kind.COUNT, "0x10"),
        (Kind.SOFT_HARD, "1024"),
        (Kind.SOFT_HARD, "1 2 3"),
        (Kind.PORT_RANGE, ""),
        (Kind.TRIPLE, "4096 131072"),
        (Kind.WORD, ""),
        (Kind.WORD, "reno cubic"),
    ],
)
def test_text_of_another_kind_is_refused(kind: Kind, text: str) -> None:
    with pytest.raises(ValueError):
        parse(kind, text)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (65535, "65535"),
        (INFINITY, "infinity"),
        ((10000, 65535), "10000 65535"),
        ((1024, INFINITY), "1024 infinity"),
        ("fq", "fq"),
    ],
)
def test_compact_spells_a_value_as_files_do(value: Value, text: str) -> None:
    assert compact(value) == text


@PROPERTY
@given(typed_values())
def test_what_is_written_reads_back(typed: tuple[Kind, Value]) -> None:
    kind, value = typed
    assert parse(kind, compact(value)) == value


@PROPERTY
@given(typed_values())
def test_written_text_is_one_line_without_padding(typed: tuple[Kind, Value]) -> None:
    text = compact(typed[1])
    assert text == " ".join(text.split())


@PROPERTY
@given(typed_values())
def test_a_value_equals_itself(typed: tuple[Kind, Value]) -> None:
    assert satisfies(Compare.EQUAL, typed[1], typed[1])


@PROPERTY
@given(st.one_of(NUMBERS, tuples(2), tuples(3)), st.sampled_from(list(Compare)))
def test_every_comparison_of_numbers_is_reflexive(value: Value, compare: Compare) -> None:
    pair = isinstance(value, tuple) and len(value) == 2
    if compare in {Compare.COVERS, Compare.WITHIN}:
        assert satisfies(compare, value, value) == pair
    else:
        assert satisfies(compare, value, value)


@PROPERTY
@given(NUMBERS, NUMBERS, NUMBERS)
def test_at_least_is_kept_by_more_and_by_wanting_less(got: int, wanted: int, change: int) -> None:
    if satisfies(Compare.AT_LEAST, got, wanted):
        assert satisfies(Compare.AT_LEAST, got + change, wanted)
        assert satisfies(Compare.AT_LEAST, got, wanted - change)
    else:
        assert not satisfies(Compare.AT_LEAST, got - change, wanted)
        assert not satisfies(Compare.AT_LEAST, got, wanted + change)


@PROPERTY
@given(st.integers(1, 3).flatmap(lambda n: st.tuples(tuples(n), tuples(n))))
def test_at_least_and_at_most_mirror_each_other(pair: tuple[tuple[int, ...], ...]) -> None:
    got, wanted = pair
    assert satisfies(Compare.AT_LEAST, got, wanted) == satisfies(Compare.AT_MOST, wanted, got)


@PROPERTY
@given(st.integers(1, 3).flatmap(lambda n: st.tuples(tuples(n), tuples(n))))
def test_at_least_of_a_tuple_holds_member_by_member(pair: tuple[tuple[int, ...], ...]) -> None:
    got, wanted = pair
    each = [satisfies(Compare.AT_LEAST, a, b) for a, b in zip(got, wanted, strict=True)]
    assert satisfies(Compare.AT_LEAST, got, wanted) == all(each)


@PROPERTY
@given(st.integers(1, 3).flatmap(lambda n: st.tuples(tuples(n), tuples(n))))
def test_equal_is_at_least_and_at_most_together(pair: tuple[tuple[int, ...], ...]) -> None:
    both = all(satisfies(c, *pair) for c in (Compare.AT_LEAST, Compare.AT_MOST))
    assert satisfies(Compare.EQUAL, *pair) == both


@PROPERTY
@given(RANGES, RANGES)
def test_covering_and_lying_within_mirror_each_other(
    one: tuple[int, int], other: tuple[int, int]
) -> None:
    assert satisfies(Compare.COVERS, one, other) == satisfies(Compare.WITHIN, other, one)


@PROPERTY
@given(RANGES, RANGES)
def test_covering_is_about_every_port_of_the_range(
    got: tuple[int, int], wanted: tuple[int, int]
) -> None:
    inside = all(got[0] <= port <= got[1] for port in wanted)
    assert satisfies(Compare.COVERS, got, wanted) == inside


@pytest.mark.parametrize(
    ("compare", "got", "wanted", "in_force"),
    [
        (Compare.COVERS, (1024, 65535), (10000, 65535), True),
        (Compare.COVERS, (32768, 60999), (10000, 65535), False),
        (Compare.COVERS, (10000, 60999), (10000, 65535), False),
        (Compare.WITHIN, (12345, 12345), (10000, 65535), True),
        (Compare.WITHIN, (9999, 9999), (10000, 65535), False),
        (Compare.AT_LEAST, (1048576, 1048575), (1048576, 1048576), False),
        (Compare.AT_LEAST, INFINITY, 1048576, True),
        (Compare.AT_LEAST, 1048576, INFINITY, False),
        (Compare.AT_MOST, 16033, 16033, True),
        (Compare.AT_MOST, 16034, 16033, False),
        (Compare.EQUAL, "cubic", "bbr", False),
    ],
)
def test_verdict_of_a_comparison(
    compare: Compare, got: Value, wanted: Value, in_force: bool
) -> None:
    assert satisfies(compare, got, wanted) is in_force


@pytest.mark.parametrize("compare", list(Compare))
@pytest.mark.parametrize(
    ("got", "wanted"),
    [
        ((1, 2), (1, 2, 3)),
        ((9, 9, 9), (1, 2)),
        (5, (1, 2)),
        ((5, 5), 5),
        ("5", 5),
        (5, "5"),
        ("bbr", "fq"),
    ],
)
def test_a_value_of_another_shape_never_satisfies(
    compare: Compare, got: Value, wanted: Value
) -> None:
    assert not satisfies(compare, got, wanted)


@pytest.mark.parametrize("compare", [c for c in Compare if c is not Compare.EQUAL])
def test_words_have_no_order(compare: Compare) -> None:
    assert not satisfies(compare, "bbr", "bbr")
