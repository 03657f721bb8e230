"""What measurements of several quantities come to: medians, spreads, ratios; printed and kept."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from benchmarks.measure import RESULTS, Figure, described, write

Quantities = Mapping[str, float]
"""One round of one case: what was measured, by name."""


@dataclass(frozen=True, slots=True)
class Spread:
    """One quantity of one case over all rounds."""

    median: float
    min: float
    max: float


@dataclass(frozen=True, slots=True)
class Table:
    """Case → quantity → spread over the rounds."""

    rows: Mapping[str, Mapping[str, Spread]]
    repeats: int

    @classmethod
    def of(cls, samples: Mapping[str, Sequence[Quantities]]) -> Table:
        """The table of what every case gave in every round; all rounds have the same quantities."""
        rows = {
            case: {
                quantity: Spread(
                    statistics.median(values := [round_[quantity] for round_ in rounds]),
                    min(values),
                    max(values),
                )
                for quantity in rounds[0]
            }
            for case, rounds in samples.items()
        }
        return cls(rows, len(next(iter(samples.values()))))

    def median(self, case: str, quantity: str) -> float:
        """The median of a quantity of a case."""
        return self.rows[case][quantity].median

    def ratio(self, case: str, other: str, quantity: str) -> float:
        """How many times the other case's median a case's is; 0 where that is 0."""
        below = self.median(other, quantity)
        return self.median(case, quantity) / below if below else 0.0

    def document(self, first: str, ratios: Sequence[str]) -> dict[str, Any]:
        """As it stands in results/: every spread, and of `ratios` the ratio to the first case."""
        return {
            case: {
                quantity: {
                    "median": _plain(spread.median),
                    "min": _plain(spread.min),
                    "max": _plain(spread.max),
                    **(
                        {"ratio": round(self.ratio(case, first, quantity), 3)}
                        if quantity in ratios
                        else {}
                    ),
                }
                for quantity, spread in row.items()
            }
            for case, row in self.rows.items()
        }


def picture(name: str, svg: str) -> None:
    """Write results/NAME.svg."""
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / f"{name}.svg").write_text(svg + "\n")


def publish_table(
    name: str,
    table: Table,
    figures: Sequence[Figure],
    about: Mapping[str, Any],
    *,
    first: str,
    ratios: Sequence[str],
    more: Mapping[str, Any] | None = None,
) -> None:
    """Print the table and the figures, and write both to results/NAME.json.

    Args:
        name: of the benchmark.
        table: of all rounds.
        figures: what was promised.
        about: the machine's description, taken before the first round.
        first: the case that ratios are to.
        ratios: the quantities that have one.
        more: what else to keep.
    """
    print(f"\n{name}: {', '.join(f'{key} {value}' for key, value in about.items())}")
    width = max(len(case) for case in table.rows)
    for case, row in table.rows.items():
        for quantity, spread in row.items():
            ratio = f"{table.ratio(case, first, quantity):8.2f}" if quantity in ratios else ""
            print(
                f"  {case:{width}} {quantity:24} {spread.median:14,.2f} "
                f"({spread.min:,.2f} to {spread.max:,.2f}){ratio}"
            )
    for figure in figures:
        print(f"  {figure.sentence()}")
    write(
        name,
        {
            "benchmark": name,
            "machine": dict(about),
            "repeats": table.repeats,
            "ratios_to": first,
            "cases": table.document(first, ratios),
            "figures": [described(figure) for figure in figures],
            **(more or {}),
        },
    )


def _plain(value: float) -> float | int:
    """Four figures are more than the rounds agree on; counts stay whole."""
    return int(value) if value == int(value) else float(f"{value:.5g}")
