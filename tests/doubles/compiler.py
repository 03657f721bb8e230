"""C programs of the tests and the benchmarks, compiled where they are used."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path


class CompileError(Exception):
    """A C program cannot be compiled; says why."""


def compile_c(source: Path, folder: Path, *flags: str) -> Path:
    """Compile one file; returns the program, which is `folder`/NAME for NAME.c.

    Raises:
        CompileError: there is no C compiler, or it refuses the source.
    """
    if shutil.which("cc") is None:
        raise CompileError("there is no C compiler `cc`; run: apt-get install gcc libc6-dev")
    program = folder / source.stem
    argv = ["cc", "-O2", "-Wall", "-Wextra", "-Werror", *flags, "-o", str(program), str(source)]
    done = subprocess.run(argv, capture_output=True, text=True, check=False)
    if done.returncode:
        raise CompileError(f"cc refuses {source.name}:\n{done.stderr[-800:]}")
    return program
