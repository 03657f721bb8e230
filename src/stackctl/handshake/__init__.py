"""Probe any MTProto proxy by its link: hops timed, failures explained by what was tried."""

from __future__ import annotations

from stackctl.handshake.explain import explain
from stackctl.handshake.link import probe_link
from stackctl.handshake.model import (
    AddressProbe,
    Evidence,
    Explanation,
    Hop,
    LinkProbe,
    Trial,
    exit_status,
)

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
