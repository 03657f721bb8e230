"""The replica that measurements run with: what it does is said at the top of sink.c."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

from benchmarks.measure import BenchmarkError

SOURCE = Path(__file__).with_name("sink.c")


def build(folder: Path) -> Path:
    """Compile it, as one static executable that runs in any image; returns its path.

    Raises:
        BenchmarkError: there is no C compiler, or it refuses the source.
    """
    if shutil.which("cc") is None:
        raise BenchmarkError(
            "there is no C compiler `cc`: `apt-get install gcc libc6-dev` brings one"
        )
    made = folder / "sink"
    argv = ["cc", "-O2", "-Wall", "-Wextra", "-Werror", "-static", "-o", str(made), str(SOURCE)]
    done = subprocess.run(argv, capture_output=True, text=True, check=False)
    if done.returncode:
        raise BenchmarkError(f"cc refuses {SOURCE.name}:\n{done.stderr[-800:]}")
    return made
