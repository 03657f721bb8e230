"""The arithmetic of the conntrack benchmark: the table, processes, and their shares."""

from __future__ import annotations

from benchmarks.conntrack import processes_for, shares, table_of


def test_the_table_keeps_its_ratio_to_the_connections() -> None:
    assert table_of(150_000) == 262_144
    assert table_of(15_000) == 26_214


def test_no_process_is_planned_above_four_fifths_of_its_descriptors() -> None:
    processes = processes_for(150_000, 2, 20_000)
    assert processes == 19
    assert 150_000 * 2 / processes <= 16_000


def test_every_connection_has_one_process() -> None:
    assert shares(10, 4) == (3, 3, 2, 2)
    assert sum(shares(150_000, 19)) == 150_000
