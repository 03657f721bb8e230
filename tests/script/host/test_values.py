"""How prepare.sh compares and merges, in awk, against the same in Python."""

from __future__ import annotations

import subprocess

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stackctl.render.host import prepare_script

AWKS = pytest.mark.parametrize("awk", [["awk"], ["busybox", "awk"]], ids=["awk", "busybox"])
FOREVER = 2**63 - 1
WORDS = {"infinity": FOREVER, "unlimited": FOREVER, "max": FOREVER, "-1": FOREVER}
FUNCTIONS = prepare_script().partition("\nVALUES='")[2].partition("\n'\n")[0]
PROGRAM = FUNCTIONS + '{ print holds($1, $2, $3) "\\t" merge($1, $2, $3) }'

NUMBERS = st.one_of(
    st.integers(0, 10),
    st.integers(2**53 - 2, 2**53 + 2),
    st.integers(FOREVER - 2, FOREVER),
    st.integers(0, FOREVER),
).flatmap(lambda n: st.sampled_from([str(n), f"00{n}"]))
MEMBERS = st.one_of(NUMBERS, NUMBERS, st.sampled_from([*WORDS, "bbr", "cubic"]))
VALUES = st.lists(MEMBERS, min_size=1, max_size=3).map(" ".join)
CASES = st.tuples(st.sampled_from(["equal", "at-least", "covers"]), VALUES, VALUES)


def numbers(text: str) -> list[int] | None:
    """The members as numbers, or None if any is a word."""
    members = [WORDS.get(member, member) for member in text.split()]
    if not all(isinstance(m, int) or m.isdigit() for m in members):
        return None
    return [int(member) for member in members]


def holds(compare: str, got: str, want: str) -> bool:
    if compare == "equal":
        return got == want
    g, w = numbers(got), numbers(want)
    if g is None or w is None or len(g) != len(w):
        return False
    if compare == "covers":
        return g[0] <= w[0] and g[1] >= w[1]
    return all(mine >= least for mine, least in zip(g, w, strict=True))


def merge(compare: str, a: str, b: str) -> list[int] | str:
    x, y = numbers(a), numbers(b)
    if x is None or y is None or len(x) != len(y):
        return a
    made = [max(pair) for pair in zip(x, y, strict=True)]
    return [min(x[0], y[0]), *made[1:]] if compare == "covers" else made


def sensible(case: tuple[str, str, str]) -> bool:
    """`covers` is for pairs; a value that is part word, part number is none; -1 is no sysctl's."""
    compare, a, b = case
    sizes = {len(a.split()), len(b.split())}
    whole = all(numbers(v) is not None or not any(map(numbers, v.split())) for v in (a, b))
    return whole and (compare != "covers" or sizes == {2})


@AWKS
@settings(max_examples=25, deadline=None)
@given(cases=st.lists(CASES.filter(sensible), min_size=10, max_size=60))
def test_awk_agrees_with_python(awk: list[str], cases: list[tuple[str, str, str]]) -> None:
    done = subprocess.run(
        [*awk, "-F", "\t", PROGRAM],
        input="".join("\t".join(case) + "\n" for case in cases),
        capture_output=True,
        text=True,
        check=True,
    )
    lines = done.stdout.splitlines()
    assert (len(lines), done.stderr) == (len(cases), "")
    for case, line in zip(cases, lines, strict=True):
        held, merged = line.split("\t")
        assert held == str(int(holds(*case))), case
        wanted = merge(*case)
        assert (merged if isinstance(wanted, str) else numbers(merged)) == wanted, case


@AWKS
def test_the_first_wish_stands_alone(awk: list[str]) -> None:
    line = subprocess.run(
        [*awk, "-F", "\t", PROGRAM],
        input="at-least\t\t7\n",
        capture_output=True,
        text=True,
        check=True,
    )
    assert line.stdout == "0\t7\n"
