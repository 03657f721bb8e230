"""Errors of image builds."""

from __future__ import annotations

from collections.abc import Iterable

from stackctl.errors import EngineError

TAIL_LINES = 15
"""How many of the last lines of a failed build the error shows."""


class ImageBuildError(EngineError):
    """An image could not be built, or what it is built from is missing."""

    @classmethod
    def of_build(cls, reference: str, tail: Iterable[str]) -> ImageBuildError:
        """The error for a build of `reference` whose output ended with the lines `tail`."""
        lines = "\n  ".join(tail)
        return cls(
            f"image {reference} could not be built:\n  {lines}\n",
            "if packages could not be fetched, check that containers reach Debian's mirror "
            "(DNS, proxy), then run the command again",
        )
