"""Probe any MTProto proxy by its link: hops timed, failures explained by what was tried."""

from __future__ import annotations

from .explain import explain
from .model import AddressProbe, Evidence, Explanation, Hop, LinkProbe, Trial, exit_status
from .run import probe_link

__all__ = [
    "AddressProbe",
    "Evidence",
    "Explanation",
    "Hop",
    "LinkProbe",
    "Trial",
    "exit_status",
    "explain",
    "probe_link",
]
