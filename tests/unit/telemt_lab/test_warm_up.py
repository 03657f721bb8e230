"""What is loaded before the first client."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

IMAGE = Path(__file__).parents[3] / "images" / "telemt-lab"
LOADS = """
import sys
from telemt_lab.fake_tls import warm_up
warm_up()
before = set(sys.modules)
from telemt_lab.obfuscation import keystream
from telemt_lab.fake_tls import server_flight
server_flight(bytes(16), bytes(32), bytes(32), bytes(2), 0x1D, 0, 0)
keystream(bytes(32), bytes(16)).update(b"x")
print(sorted(set(sys.modules) - before))
"""


def test_a_first_handshake_loads_nothing_more() -> None:
    argv = [sys.executable, "-c", LOADS]
    done = subprocess.run(argv, cwd=IMAGE, capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"
