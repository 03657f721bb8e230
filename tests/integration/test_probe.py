"""`stackctl probe`: real handshakes through the running stack, and its output when they fail."""

from __future__ import annotations

import json
import re
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import docker
import pytest
import yaml

from .conftest import MakeLab, labs_in, started
from .lab import Lab, until
from .sabotage import Line, other_domain, other_users

pytestmark = pytest.mark.integration

MODES = ("classic", "secure", "tls")
USERS = {"alice": "00112233445566778899aabbccddeeff", "bob": "ffeeddccbbaa99887766554433221100"}
PLACES = ("published", "telemt-1", "telemt-2")


def _prepared(make_lab: MakeLab, link: str) -> Lab:
    lab = make_lab(
        link=link,
        limits="{mode: fit, haproxy.check_inter: 1}",
        telemt="{datacentre: lab, modes: [classic, secure, tls]}",
    )
    path = lab.folder / "secrets.yaml"
    kept = yaml.safe_load(path.read_text())
    path.write_text(yaml.safe_dump(kept | {"users": USERS}))
    return lab


@pytest.fixture(scope="module", params=["unix", "tcp"])
def lab(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    """A lab for each kind of link, one after the other, with every mode and two users."""
    with labs_in(tmp_path_factory) as make:
        yield started(_prepared(make, request.param))


on_unix = pytest.mark.parametrize("lab", ["unix"], indirect=True)
"""One kind of link is enough."""


def probe(lab: Lab, *args: str) -> dict[str, Any]:
    """The object of `probe --json`; its exit status must be the one it states."""
    done = lab.run("probe", "--json", *args)
    assert done.stdout, f"probe printed nothing: {done.stderr}"
    report: dict[str, Any] = json.loads(done.stdout)
    assert report["exit"] == done.returncode
    return report


def words(report: dict[str, Any]) -> dict[tuple[str, str], str]:
    """(place, mode) → the one word of every user's handshake there."""
    found: dict[tuple[str, str], set[str]] = {}
    for one in report["handshakes"]:
        word = one["cause"]["word"] if one["cause"] else "answered"
        found.setdefault((one["place"], one["mode"]), set()).add(word)
    return {key: ", ".join(sorted(words)) for key, words in found.items()}


def other_than_published(lab: Lab) -> str:
    """A replica that gets no clients from the published address."""
    served = {one["server"] for one in probe(lab)["handshakes"] if one["place"] == "published"}
    assert len(served) == 1
    return "telemt-2" if served == {"telemt-1"} else "telemt-1"


def test_every_user_mode_and_replica_is_answered_and_seen_as_it_is(lab: Lab) -> None:
    began = time.monotonic()
    report = probe(lab)
    whole = (time.monotonic() - began) * 1000
    assert report["exit"] == 0
    made = [(one["place"], one["user"], one["mode"]) for one in report["handshakes"]]
    assert sorted(made) == sorted((p, u, m) for p in PLACES for u in USERS for m in MODES)
    for one in report["handshakes"]:
        assert one["cause"] is None
        assert one["own_address"] is True, one["arrival"]
        assert one["server"].startswith("telemt-")
        hops = ["connect"] if one["place"] == "published" else ["connect", "proxy"]
        hops += ["tls", "answer"] if one["mode"] == "tls" else ["answer"]
        assert list(one["ms"]) == hops
        assert all(ms >= 0 for ms in one["ms"].values())
        assert sum(one["ms"].values()) < whole
    # One machine has one clock, so the probe ran between the two readings around it.
    assert report["clock"]["ahead_seconds"] == 0


def test_the_table_for_people(lab: Lab) -> None:
    done = lab.run("probe")
    assert done.returncode == 0, done.stdout
    count = len(PLACES) * len(USERS) * len(MODES)
    assert f"{count} of {count} handshakes succeeded" in done.stdout
    assert len(re.findall(r"telemt-2 +alice +tls", done.stdout)) == 1


def test_one_user_and_one_replica(lab: Lab) -> None:
    report = probe(lab, "--user", "bob", "--replica", "telemt-2")
    assert words(report) == {("telemt-2", mode): "answered" for mode in MODES}
    assert {one["user"] for one in report["handshakes"]} == {"bob"}


@pytest.mark.parametrize("option", ["--user", "--replica"])
@on_unix
def test_who_is_not_there_is_bad_input(lab: Lab, option: str) -> None:
    done = lab.run("probe", option, "nobody")
    assert done.returncode == 2
    assert "one of: " in done.stderr
    assert "nobody" not in done.stderr


@on_unix
def test_no_secret_is_shown_by_the_engine_or_by_a_process(lab: Lab) -> None:
    """While it runs, whatever the engine and /proc tell of the collector is looked at."""
    seen: list[str] = []
    over = threading.Event()

    def watch() -> None:
        client = docker.from_env()
        while not over.is_set():
            for container in client.containers.list(
                all=True, filters={"label": f"io.stackctl.stack={lab.name}"},
                ignore_removed=True,
            ):  # fmt: skip
                if "/collector:" in container.attrs["Config"]["Image"]:
                    seen.append(json.dumps(container.attrs))
                    seen.append(_process(container.attrs["State"]["Pid"]))
            time.sleep(0.02)

    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        done = lab.run("probe")
    finally:
        over.set()
        watcher.join(30)
    assert done.returncode == 0
    assert any("stackctl.collector" in text for text in seen), "the collector was never seen"
    for secret in USERS.values():
        assert all(secret not in text for text in (*seen, done.stdout, done.stderr))


def _process(pid: int) -> str:
    try:
        return "".join(
            Path(f"/proc/{pid}/{name}").read_bytes().decode("utf-8", "replace")
            for name in ("cmdline", "environ")
        )
    except OSError:
        return ""


def test_another_users_file_in_one_replica(lab: Lab) -> None:
    replica = other_than_published(lab)
    with other_users(lab, f"haproxy/{replica}"):
        found = words(probe(lab, "--user", "alice"))
        assert {found[replica, mode] for mode in MODES} == {"wrong-secret"}
        assert {word for (place, _), word in found.items() if place != replica} == {"answered"}


@on_unix
def test_another_domain_in_one_replica(lab: Lab) -> None:
    replica = other_than_published(lab)
    with other_domain(lab, f"haproxy/{replica}"):
        found = words(probe(lab))
        assert found.pop((replica, "tls")) == "domain"
        assert set(found.values()) == {"answered"}


@on_unix
def test_a_drained_server(lab: Lab) -> None:
    replica = other_than_published(lab)
    lab.admin(f"set server telemt/{replica} state drain")
    try:
        found = words(probe(lab))
        assert {found[replica, mode] for mode in MODES} == {"drain"}
        assert {word for (place, _), word in found.items() if place != replica} == {"answered"}
        assert ("telemt.handshake", f"haproxy/{replica}", "short") in lab.wrong()
    finally:
        lab.admin(f"set server telemt/{replica} state ready")


def test_proxy_protocol_on_haproxys_side_only(lab: Lab) -> None:
    replica = other_than_published(lab)
    path = lab.rendered / f"telemt/{replica}/telemt.toml"
    before = path.read_text()
    path.write_text(before.replace("proxy_protocol = true", "proxy_protocol = false"))
    try:
        _restart(lab, replica)
        found = words(probe(lab, "--replica", replica))
        assert set(found.values()) == {"proxy-unread"}
    finally:
        path.write_text(before)
        _restart(lab, replica)


@on_unix
def test_proxy_protocol_on_the_replicas_side_only(lab: Lab) -> None:
    broken = Line(r"^(    default-server .*)send-proxy-v2(.*)$", r"\1\2")
    with broken(lab, "haproxy"):
        found = words(probe(lab))
        assert {found["published", mode] for mode in MODES} == {"proxy-missing"}
        assert {word for (place, _), word in found.items() if place != "published"} == {"answered"}


def test_without_the_data_centre(lab: Lab) -> None:
    """Every replica and the published address, in verify as well."""
    with _stopped(lab, "datacentre"):
        assert set(words(probe(lab)).values()) == {"data-centre"}
        findings = {
            (f["limit"], f["target"]): f
            for f in lab.verify()["findings"]
            if f["limit"].endswith(".handshake")
        }
        assert len(findings) == 3
        for finding in findings.values():
            assert (finding["verdict"], finding["depth"]) == ("short", "effective")
            assert finding["got"] in {"data-centre", "no-replica", "down"}
            assert finding["remedy"]
        assert "data-centre" in {f["got"] for f in findings.values()}


@on_unix
def test_a_replica_that_does_not_run(lab: Lab) -> None:
    with _stopped(lab, "telemt-2"):
        found = words(probe(lab))
        assert {found["telemt-2", mode] for mode in MODES} == {"down"}
        assert {found["telemt-1", mode] for mode in MODES} == {"answered"}


@contextmanager
def _stopped(lab: Lab, target: str) -> Iterator[None]:
    subprocess.run(["docker", "stop", "-t", "1", lab.container(target).id], check=True,
                   capture_output=True)  # fmt: skip
    try:
        yield
    finally:
        lab.container(target).start()
        lab.wait_healthy(target)
        for replica in ("telemt-1", "telemt-2"):
            lab.wait_healthy(replica)
        lab.wait_l7ok()
        until(lambda: lab.run("probe").returncode == 0, 60, "handshakes that are answered again")


def _restart(lab: Lab, target: str) -> None:
    lab.container(target).restart()
    lab.wait_healthy(target)
    lab.wait_l7ok()


def test_nothing_runs(make_lab: MakeLab) -> None:
    done = make_lab().run("probe")
    assert done.returncode == 3
    assert "stackctl up" in done.stderr
