"""A load on a live stack: connections open with the replicas' answers, are held, and all close."""

from __future__ import annotations

import json
import signal
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
import yaml

from ..command import running, server_rows
from ..conftest import TELEMT, MakeLab
from ..lab import Lab, until
from ..sabotage import other_max_connections


@pytest.fixture(scope="module")
def lab(on_host: Callable[[str], Lab]) -> Lab:
    """A load comes from many addresses."""
    return on_host("unix")


def loaded(lab: Lab, *args: str) -> dict[str, Any]:
    done = lab.run("load", "--json", *args)
    assert done.stdout, done.stderr
    report: dict[str, Any] = json.loads(done.stdout)
    assert report["exit"] == done.returncode, done.stderr
    return report


@pytest.mark.parametrize("handshake", ["secure", "tls"])
def test_every_client_is_answered_held_and_answered_again(lab: Lab, handshake: str) -> None:
    report = loaded(lab, "-n", "300", "--handshake", handshake, "--hold", "3", "--bytes", "64")
    assert (report["opened"], report["held"], report["failed"]) == (300, 300, {})
    assert report["round_trips"] >= 300
    assert report["round_trips_failed"] == {}
    assert report["exit"] == 0


def test_haproxy_saw_them_and_has_none_left(lab: Lab) -> None:
    before = sum(int(row["stot"]) for row in server_rows(lab).values())
    loaded(lab, "-n", "200", "--hold", "1")
    after = sum(int(row["stot"]) for row in server_rows(lab).values())
    assert after - before >= 200
    until(
        lambda: sum(int(row["scur"]) for row in server_rows(lab).values()) == 0,
        60,
        "no connection left in HAProxy",
    )


def test_the_page_has_the_verdict_every_limit_and_no_secret(lab: Lab) -> None:
    path = lab.folder / "load.html"
    report = loaded(lab, "-n", "300", "--hold", "2", "--html", str(path))
    page = path.read_text()
    assert f"HELD: all {report['held']} connections" in page
    assert {f["limit"] for f in report["findings"]} == {
        f["limit"] for f in lab.verify()["findings"]
    }
    assert all(f">{finding['limit']}<" in page for finding in report["findings"])
    for digits in yaml.safe_load((lab.folder / "secrets.yaml").read_text())["users"].values():
        assert digits not in page


def test_a_replica_that_has_no_permit_left_is_named_with_its_limit(lab: Lab) -> None:
    with other_max_connections(lab, "telemt-1"):
        report = loaded(lab, "-n", "400", "--hold", "1", "--timeout", "5")
    moved = {(c["where"], c["name"]): c for c in report["counters"]}
    timeouts = moved["telemt-1", "telemt_accept_permit_timeout_total"]
    assert timeouts["by"] > 0
    assert timeouts["limits"] == ["telemt.max_connections"]
    assert ("telemt-2", "telemt_accept_permit_timeout_total") not in moved
    assert report["opened"] < 400
    assert report["unread"] == []


def test_more_than_the_stack_takes_is_refused_before_anything_is_opened(lab: Lab) -> None:
    before = server_rows(lab)
    done = lab.run("load", "-n", "100000000")
    assert done.returncode == 2
    assert server_rows(lab)["telemt-1"]["stot"] == before["telemt-1"]["stot"]


def test_a_stack_that_reaches_telegram_is_not_loaded(make_lab: MakeLab) -> None:
    lab = make_lab(telemt=TELEMT.replace("datacentre: lab", "datacentre: telegram"))
    done = lab.run("load", "-n", "10")
    assert done.returncode in {1, 2, 3}
    assert "Traceback" not in done.stderr
    assert done.stdout == ""


def test_ctrl_c_leaves_no_process_and_no_connection(lab: Lab) -> None:
    with running("load", "-n", "200", "--hold", "600", cwd=lab.folder) as command:
        until(
            lambda: sum(int(row["scur"]) for row in server_rows(lab).values()) >= 200,
            40,
            "all of them open",
        )
        assert [*workers_of(lab)]
        command.ctrl_c()
        assert command.wait() == 128 + signal.SIGINT
    until(
        lambda: sum(int(row["scur"]) for row in server_rows(lab).values()) == 0,
        60,
        "no connection left",
    )
    assert [*workers_of(lab)] == []


def workers_of(lab: Lab) -> Iterator[int]:
    """Processes of loads started in this lab's folder, and of no other load on the machine."""
    for process in Path("/proc").iterdir():
        # Processes may end while they are read.
        with suppress(OSError):
            if (process / "cwd").readlink() == lab.folder.resolve():
                command = (process / "cmdline").read_bytes()
                if b"stackctl.traffic.worker" in command:
                    yield int(process.name)
