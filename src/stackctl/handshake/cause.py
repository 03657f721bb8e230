"""The likely cause of a handshake that failed, and the one rule about clocks. Pure."""

from __future__ import annotations

from dataclasses import dataclass

SKEW_SECONDS = 120.0
"""Fake TLS refuses a client whose clock is further off than this (in Telemt as in MTProxy)."""

LOOK = "see `stackctl status` and the container's `docker logs`"


@dataclass(frozen=True, slots=True)
class Cause:
    """What is likely wrong.

    Attributes:
        word: a stable word for machines.
        because: the evidence, as a sentence.
        remedy: what to do next.
    """

    word: str
    because: str
    remedy: str
