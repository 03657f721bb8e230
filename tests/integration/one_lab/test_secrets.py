"""The users' secrets are in the one file that Telemt reads, and nowhere else."""

from __future__ import annotations

import json
import os
import stat
import subprocess
from contextlib import suppress
from pathlib import Path

import docker
import pytest
import yaml

from ..conftest import started
from ..lab import UIDS, Lab

TARGETS = ("haproxy", "telemt-1", "telemt-2")


@pytest.fixture(scope="module")
def secret(lab: Lab) -> str:
    """The one secret of the lab."""
    users = yaml.safe_load((lab.folder / "secrets.yaml").read_text())["users"]
    (only,) = users.values()
    assert len(only) == 32
    return str(only)


def processes(lab: Lab) -> list[Path]:
    """/proc of every process in the stack's containers."""
    tops = [lab.container(target).top()["Processes"] for target in TARGETS]
    found = [Path("/proc") / row[1] for rows in tops for row in rows]
    assert len(found) >= len(TARGETS)
    return found


def test_it_is_where_telemt_needs_it(lab: Lab, secret: str) -> None:
    """Without a secret the other tests of this file would pass for no reason."""
    for target in TARGETS[1:]:
        path = f"/proc/{lab.pid(target)}/root/run/telemt-users/users.toml"
        # As Telemt's own user, who has to be able to read it.
        read = subprocess.run(
            ["cat", path],
            user=UIDS["telemt"],
            group=UIDS["telemt"],
            extra_groups=[],
            capture_output=True,
            text=True,
            check=False,
        )
        assert read.returncode == 0, read.stderr
        assert secret in read.stdout


def test_haproxy_has_no_way_to_it(lab: Lab, secret: str) -> None:
    mounts = lab.container("haproxy").attrs["Mounts"]
    assert mounts
    seen = [Path(m["Source"]) for m in mounts if "secrets" in m.get("Source", "")]
    # The API's secret, for its health check, and not the users'.
    assert seen == [lab.rendered / "secrets/haproxy"]
    assert [path.name for path in seen[0].iterdir()] == ["api.map"]
    assert secret not in (seen[0] / "api.map").read_text()
    inside = Path(f"/proc/{lab.pid('haproxy')}/root/run")
    assert "telemt-users" not in {path.name for path in inside.iterdir()}


def test_the_engine_knows_nothing_of_it(lab: Lab, secret: str) -> None:
    client = docker.from_env()
    label = {"label": f"io.stackctl.stack={lab.name}"}
    seen: dict[str, object] = {}
    for target in TARGETS:
        container = lab.container(target)
        assert container.image
        seen[f"inspect {target}"] = container.attrs
        seen[f"logs {target}"] = container.logs().decode()
        seen[f"image of {target}"] = container.image.attrs
        seen[f"history of {target}"] = container.image.history()
    for kind, found in (
        ("volume", client.volumes.list(filters=label)),
        ("network", client.networks.list(filters=label)),
    ):
        assert found
        seen |= {f"{kind} {item.name}": item.attrs for item in found}
    assert [what for what, data in seen.items() if secret in json.dumps(data).lower()] == []


def test_no_process_carries_it(lab: Lab, secret: str) -> None:
    read = 0
    for process in processes(lab):
        # A health check may have ended meanwhile.
        with suppress(FileNotFoundError, ProcessLookupError):
            for name in ("environ", "cmdline"):
                assert secret.encode() not in (process / name).read_bytes(), process / name
            read += 1
    assert read >= len(TARGETS)


def test_no_rendered_file_but_one_holds_it(lab: Lab, secret: str) -> None:
    files = [path for path in lab.rendered.rglob("*") if path.is_file()]
    assert {"compose.yaml", "haproxy.cfg", "telemt.toml"} <= {path.name for path in files}
    holding = [path for path in files if secret in path.read_text().lower()]
    assert holding == [lab.rendered / "secrets/telemt/users.toml"]


def test_others_on_this_machine_cannot_read_it(lab: Lab) -> None:
    assert stat.S_IMODE((lab.rendered / "secrets").stat().st_mode) == 0o700
    assert stat.S_IMODE((lab.folder / "secrets.yaml").stat().st_mode) == 0o600
    outer = lab.rendered / "secrets"
    assert outer.stat().st_uid == os.getuid()
    assert (outer / ".gitignore").read_text() == "*\n"


@pytest.mark.parametrize(
    "args",
    [
        ["plan"], ["plan", "--json"], ["status"], ["status", "--json"], ["verify", "--verbose"],
        ["verify", "--json"], ["verify", "--junit", "report.xml"], ["up"], ["limits"],
        ["render", "-o", "out"],
    ],
    ids=" ".join,
)  # fmt: skip
def test_no_command_prints_it_unasked(lab: Lab, secret: str, args: list[str]) -> None:
    done = lab.run(*args)
    assert done.returncode == 0, done.stderr
    assert secret not in (done.stdout + done.stderr).lower()
    if "--junit" in args:
        assert secret not in (lab.folder / "report.xml").read_text().lower()


def test_links_print_it_because_they_are_asked_to(lab: Lab, secret: str) -> None:
    done = lab.run("links")
    assert done.returncode == 0, done.stderr
    links = [line.split("\t")[2] for line in done.stdout.splitlines()]
    assert links
    for link in links:
        assert link.startswith("tg://proxy?")
        assert secret in link
        assert f"port={lab.port}" in link


def test_a_mistake_in_the_secrets_file_does_not_show_it(lab: Lab, secret: str) -> None:
    path = lab.folder / "secrets.yaml"
    whole = path.read_text()
    try:
        for wrong in (f"{secret}0", f"x{secret}", f"{secret}: {secret}", f"[{secret}]"):
            path.write_text(whole.replace(f'"{secret}"', wrong))
            done = lab.run("up")
            assert done.returncode == 2, done.stderr
            assert secret not in (done.stdout + done.stderr).lower()
            assert secret[1:-1] not in done.stderr.lower()
    finally:
        path.write_text(whole)
    started(lab)
