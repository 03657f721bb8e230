"""`python -m benchmarks`: all of them, one after another; the one that needs no engine first."""

from __future__ import annotations

from benchmarks import startup, up, verify
from benchmarks.measure import main

if __name__ == "__main__":
    main(__doc__, startup.measure, verify.measure, up.measure)
