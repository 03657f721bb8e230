"""Arguments, wiring and exit codes. Each command imports what it uses when it runs."""

from __future__ import annotations

from stackctl.cli.main import main

__all__ = ["main"]
