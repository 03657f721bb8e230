"""What a test says where files differ: the cause first, a short diff, and the remedy."""

from __future__ import annotations

from tests.unit.golden import differences


def test_equal_files_say_nothing() -> None:
    assert differences({"a": "x\n"}, {"a": "x\n"}, "tests/unit/render") == ""


def test_the_cause_comes_before_the_digest_of_it() -> None:
    kept = {"compose.yaml": "config: 1\n", "telemt/telemt.toml": "a = 1\nb = 2\n"}
    made = {"compose.yaml": "config: 2\n", "telemt/telemt.toml": "a = 1\nb = 3\n"}
    assert differences(made, kept, "tests/unit/render").splitlines() == [
        "",
        "telemt/telemt.toml differs (- committed, + made):",
        "  -b = 2",
        "  +b = 3",
        "compose.yaml differs (- committed, + made):",
        "  -config: 1",
        "  +config: 2",
        "do: STACKCTL_GOLDEN=write .venv/bin/pytest tests/unit/render, then read git diff",
    ]


def test_files_that_are_missing_or_left_over_are_named() -> None:
    told = differences({"new": ""}, {"old": ""}, "tests/unit/render")
    assert "new is made, and not committed" in told
    assert "old is committed, and no longer made" in told


def test_a_long_difference_is_cut() -> None:
    many = {f"file-{at}": "x\n" * 50 for at in range(9)}
    told = differences(many, dict.fromkeys(many, ""), "tests/unit/render")
    assert "... 38 more lines" in told
    assert "and 5 more: file-4, file-5" in told
    assert len(told.splitlines()) < 70
