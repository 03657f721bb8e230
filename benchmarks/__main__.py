"""`python -m benchmarks`: all of them, one after another; those that need no engine first."""

from __future__ import annotations

from benchmarks import burst, generator, paths, ports, stalled, startup, up, verify
from benchmarks.measure import main

if __name__ == "__main__":
    main(
        __doc__,
        startup.measure,
        generator.measure,
        verify.measure,
        up.measure,
        burst.measure,
        ports.measure,
        paths.measure,
        stalled.measure,
    )
