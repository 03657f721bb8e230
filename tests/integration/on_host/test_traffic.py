"""Users get through: every mode, over every link, spread and kept as the balance says."""

from __future__ import annotations

import json
import subprocess
import sys
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from stackctl.mtproto import Mode

from ..client import connect, gets_through, on_loopback, secret_of, served_by, shake
from ..command import server_rows
from ..conftest import TELEMT, MakeLab, started
from ..lab import Lab, until
from .conftest import EVERY_MODE

MODES: tuple[Mode, ...] = ("classic", "secure", "tls")


@pytest.fixture(scope="module", params=["unix", "tcp"])
def lab(request: pytest.FixtureRequest, on_host: Callable[[str], Lab]) -> Lab:
    """Both links, one after the other."""
    return on_host(request.param)


@pytest.mark.parametrize("mode", MODES)
def test_a_client_gets_through(lab: Lab, mode: Mode) -> None:
    gets_through(lab, mode)


@pytest.mark.parametrize("mode", MODES)
def test_another_secret_does_not(lab: Lab, mode: Mode) -> None:
    right = secret_of(lab, mode)
    wrong = type(right)(mode, bytes(16), right.domain)
    with connect(lab.port) as sock:
        assert shake(sock, wrong).failure


@pytest.mark.parametrize(
    ("prefix", "framing"), [("dd", "padded"), ("", "abridged"), ("", "intermediate")]
)
def test_telethon_gets_through(lab: Lab, repo: Path, prefix: str, framing: str) -> None:
    """A client library that others wrote, by its own MTProxy code."""
    secret = prefix + secret_of(lab, "secure").key.hex()
    program = str(repo / "tests/peers/telethon_client.py")
    done = subprocess.run(
        [sys.executable, program, "127.0.0.1", str(lab.port), secret, framing],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    found = json.loads(done.stdout)
    assert (done.returncode, found.get("answer")) == (0, "ResPQ"), found
    assert found["same_nonce"]
    assert found["fingerprints"] >= 1


def test_telethon_with_another_secret_does_not(lab: Lab, repo: Path) -> None:
    program = str(repo / "tests/peers/telethon_client.py")
    done = subprocess.run(
        [sys.executable, program, "127.0.0.1", str(lab.port), "dd" + "00" * 16],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 1
    assert not json.loads(done.stdout)["ok"]


def test_a_mode_that_is_switched_off_does_not(make_lab: MakeLab) -> None:
    lab = started(make_lab(telemt=TELEMT.replace("{", "{modes: [tls], ", 1), replicas=1))
    gets_through(lab, "tls")
    for mode in ("classic", "secure"):
        with connect(lab.port) as sock:
            assert shake(sock, secret_of(lab, mode)).failure


@pytest.fixture
def spread(make_lab: MakeLab) -> Lab:
    """Four replicas; each client goes to the one with the fewest."""
    return started(make_lab(network="host", balance="leastconn", replicas=4, telemt=EVERY_MODE))


def test_a_thousand_handshakes_are_all_answered_and_spread(spread: Lab) -> None:
    before = {name: int(row["stot"]) for name, row in server_rows(spread).items()}

    def one(number: int) -> str:
        with connect(spread.port) as sock:
            made = shake(sock, secret_of(spread, MODES[number % 3]))
            return made.failure.cause if made.failure else "answered"

    with ThreadPoolExecutor(max_workers=32) as pool:
        assert Counter(pool.map(one, range(1000))) == {"answered": 1000}
    rows = server_rows(spread)
    taken = {name: int(row["stot"]) - before[name] for name, row in rows.items()}
    # Connections of the verification and of other tests are few compared with these.
    assert 1000 <= sum(taken.values()) <= 1050
    assert min(taken.values()) > 150, taken


@pytest.fixture
def eight(make_lab: MakeLab) -> Lab:
    """Eight replicas, each address on one of them."""
    limits = "{mode: fit, haproxy.check_inter: 1}"
    return started(make_lab(network="host", replicas=8, limits=limits, telemt=TELEMT))


def test_an_address_stays_on_its_replica_and_a_loss_moves_only_its_own(eight: Lab) -> None:
    sources = on_loopback(200)
    first = served_by(eight, sources)
    # Hashing is not even, but every replica gets clients and none gets half of them.
    shares = Counter(first.values())
    assert len(shares) == 8
    assert max(shares.values()) < 100, shares
    assert served_by(eight, sources) == first

    lost = "telemt-3"
    eight.container(lost).stop()
    until(lambda: server_rows(eight)[lost]["status"].startswith("DOWN"), 60, f"{lost} down")
    after = served_by(eight, sources)
    assert lost not in after.values()
    moved = {source for source in sources if after[source] != first[source]}
    assert moved == {source for source in sources if first[source] == lost}

    eight.container(lost).start()
    eight.wait_l7ok()
    assert served_by(eight, sources) == first
