"""A replica in C that holds many connections and speaks no MTProto; sink.c says what it does."""

from __future__ import annotations

from pathlib import Path

from tests.doubles.compiler import compile_c

SOURCE = Path(__file__).with_name("sink.c")


def build(folder: Path) -> Path:
    """Compile the sink into `folder`, as one static executable that runs in any image.

    Raises:
        CompileError: there is no C compiler, or it refuses the source.
    """
    return compile_c(SOURCE, folder, "-static")
