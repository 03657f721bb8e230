"""The terminal report as a picture."""

from __future__ import annotations

import io
import re
from collections.abc import Sequence

from rich.console import Console

from stackctl.checks.finding import LimitFinding
from stackctl.plan import Plan
from stackctl.report.terminal import findings_report

WIDTH = 148

_FONT = re.compile(r"@font-face \{.*?\}", re.DOTALL)
"""Rich names fonts on a public server; a picture in a document must not fetch anything."""


def findings_svg(plan: Plan, findings: Sequence[LimitFinding]) -> str:
    """SVG of the report of these findings, as a terminal of 148 columns shows it."""
    console = Console(
        file=io.StringIO(), record=True, width=WIDTH, highlight=False, force_terminal=True
    )
    findings_report(console, plan, findings)
    return _FONT.sub("", console.export_svg(title=f"stackctl verify ({plan.name})"))
