"""The template environment, and rows of the limits table as comments."""

from __future__ import annotations

import textwrap
from functools import cache

import jinja2

from stackctl.limits import TABLE
from stackctl.plan import Requirement

WIDTH = 100


@cache
def environment() -> jinja2.Environment:
    """Jinja2 as all templates use it: a missing name is an error, not an empty string."""
    return jinja2.Environment(
        loader=jinja2.PackageLoader("stackctl.render"),
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        # The files are not HTML, and every value has passed the spec's allow-list.
        autoescape=False,  # noqa: S701
    )


def reason(requirement: Requirement, indent: str) -> str:
    """The comment above a line: why it is there, and why it differs from the guide."""
    limit = TABLE[requirement.limit]
    text = limit.why[0].upper() + limit.why[1:] + "."
    if requirement.fitted:
        text += f" LOWERED to fit: {requirement.fitted}."
    elif requirement.chosen:
        text += " Chosen in stack.yaml."
    elif limit.departs:
        text += f" Guide: {limit.guide}; {limit.departs}." if limit.guide else f" {limit.departs}."
    return textwrap.fill(
        text, WIDTH, initial_indent=f"{indent}# ", subsequent_indent=f"{indent}#   "
    )
