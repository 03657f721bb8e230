"""`python -m tests.doubles.sink FOLDER`: compile the sink there."""

from __future__ import annotations

import sys
from pathlib import Path

from tests.doubles.compiler import CompileError
from tests.doubles.sink import build

if __name__ == "__main__":
    if len(sys.argv) != 2 or not Path(sys.argv[1]).is_dir():
        sys.exit("usage: python -m tests.doubles.sink FOLDER")
    try:
        print(build(Path(sys.argv[1])))
    except CompileError as error:
        sys.exit(f"error: {error}")
