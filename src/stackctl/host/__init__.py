"""The host a stack runs on: checked, prepared and put back, here or over ssh."""

from __future__ import annotations

from stackctl.host.report import HostReport
from stackctl.host.run import run

__all__ = ["HostReport", "run"]
